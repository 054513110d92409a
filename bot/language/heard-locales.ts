/**
 * Which language each person used last: messages do not tell, commands and buttons do. Kept in memory alone,
 * and forgotten with the process; it is asked for direct messages, which have no server to go by.
 */

/** People who are remembered; the one heard of longest ago goes first. */
const MOST_PEOPLE = 10_000;

/** Locales as Discord writes them, by pseudonym. */
export class HeardLocales {
  readonly #byPerson = new Map<string, string>();

  /** A person used something in this language. */
  note(personKey: string, locale: string): void {
    this.#byPerson.delete(personKey);
    this.#byPerson.set(personKey, locale);
    const [oldest] = this.#byPerson.keys();
    if (this.#byPerson.size > MOST_PEOPLE && oldest !== undefined) this.#byPerson.delete(oldest);
  }

  /** The last one; undefined where nothing was heard of the person. */
  of(personKey: string): string | undefined {
    return this.#byPerson.get(personKey);
  }
}
