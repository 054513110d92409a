/**
 * Who goes next among those who wait: guilds in turn, those with fewest turns under way first, and in each guild its
 * people likewise. Pure: it picks, and starts nothing.
 */

/** Whose request it is; empty strings stand for callers that name no one. */
export type Owner = { readonly guild: string; readonly person: string };

/** Waiting items by guild and person, each in the order of its last turn, oldest first. */
export class TurnOrder<T extends { readonly owner: Owner }> {
  readonly #guilds = new Map<string, Map<string, T[]>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    const { guild, person } = item.owner;
    const people = this.#guilds.get(guild) ?? new Map<string, T[]>();
    this.#guilds.set(guild, people);
    people.set(person, [...(people.get(person) ?? []), item]);
    this.#size += 1;
  }

  /** False when it does not wait here. */
  remove(item: T): boolean {
    const { guild, person } = item.owner;
    const people = this.#guilds.get(guild);
    const line = people?.get(person);
    if (people === undefined || line === undefined || !line.includes(item)) return false;
    this.#size -= 1;
    const rest = line.filter((other) => other !== item);
    if (rest.length > 0) people.set(person, rest);
    else people.delete(person);
    if (people.size === 0) this.#guilds.delete(guild);
    return true;
  }

  /** How many of a guild's, or of one person of it, wait. */
  waitingOf({ guild, person }: { readonly guild: string; readonly person?: string }): number {
    const people = this.#guilds.get(guild) ?? new Map<string, T[]>();
    if (person !== undefined) return people.get(person)?.length ?? 0;
    return [...people.values()].reduce((sum, line) => sum + line.length, 0);
  }

  /** The next one, which leaves; its guild and person go to the end of their rounds. */
  take(underWay: TurnTally): T | undefined {
    const next = pick(this.#guilds, underWay);
    if (next === undefined) return undefined;
    this.remove(next);
    this.#rotate(next.owner);
    return next;
  }

  /** Everyone, in the order in which they will go if no one else comes and turns take equally long. */
  all(underWay: TurnTally): T[] {
    const copy = new TurnOrder<T>();
    for (const people of this.#guilds.values()) {
      for (const line of people.values()) for (const item of line) copy.add(item);
    }
    const tally = underWay.copy();
    const order: T[] = [];
    for (let next = copy.take(tally); next !== undefined; next = copy.take(tally)) {
      tally.add(next.owner, 1);
      order.push(next);
    }
    return order;
  }

  #rotate({ guild, person }: Owner): void {
    const people = this.#guilds.get(guild);
    if (people === undefined) return;
    this.#guilds.delete(guild);
    this.#guilds.set(guild, people);
    const line = people.get(person);
    if (line === undefined) return;
    people.delete(person);
    people.set(person, line);
  }
}

/** How many turns each guild and each person has under way. */
export class TurnTally {
  readonly #guilds: Map<string, number>;
  readonly #people: Map<string, number>;

  constructor(guilds = new Map<string, number>(), people = new Map<string, number>()) {
    this.#guilds = guilds;
    this.#people = people;
  }

  copy(): TurnTally {
    return new TurnTally(new Map(this.#guilds), new Map(this.#people));
  }

  /** @param change 1 for a turn that begins, -1 for one that ends */
  add(owner: Owner, change: 1 | -1): void {
    shift(this.#guilds, owner.guild, change);
    shift(this.#people, keyOf(owner), change);
  }

  ofGuild(guild: string): number {
    return this.#guilds.get(guild) ?? 0;
  }

  ofPerson(owner: Owner): number {
    return this.#people.get(keyOf(owner)) ?? 0;
  }
}

function pick<T>(
  guilds: ReadonlyMap<string, ReadonlyMap<string, readonly T[]>>,
  underWay: TurnTally,
): T | undefined {
  const guild = least([...guilds.keys()], (name) => underWay.ofGuild(name));
  if (guild === undefined) return undefined;
  const people = guilds.get(guild) ?? new Map<string, readonly T[]>();
  const person = least([...people.keys()], (name) => underWay.ofPerson({ guild, person: name }));
  return person === undefined ? undefined : people.get(person)?.[0];
}

/** The first of those with the smallest figure. */
function least(names: readonly string[], figure: (name: string) => number): string | undefined {
  return names.reduce<string | undefined>(
    (best, name) => (best === undefined || figure(name) < figure(best) ? name : best),
    undefined,
  );
}

function shift(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

function keyOf({ guild, person }: Owner): string {
  return JSON.stringify([guild, person]);
}
