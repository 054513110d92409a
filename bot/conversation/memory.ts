/**
 * What the bot remembers of conversations, in Keyv. Losing it costs context, never feedback: a store
 * that fails is reported by Keyv's `error` event and the conversation goes on without.
 * It knows neither Discord nor the prompt.
 */
import type { Keyv } from "keyv";
import { z } from "zod";
import { isCoded } from "#engine/base/errors.ts";
import { isSealed } from "#trainer/feedback/sealed-text.ts";
import { openTurns, sealTurns, type TurnKeys } from "./sealed-turns.ts";
import type { Turn } from "./window.ts";

const turnsSchema = z.array(
  z.object({
    role: z.enum(["user", "assistant"]),
    content: z.string(),
    messageIds: z.array(z.string()),
    exchangeId: z.string(),
    speakerKey: z.string(),
    speakerName: z.string(),
    speakerKeys: z.array(z.string()).optional(),
  }),
);
/** Keys with the time when the list ends, as Keyv stores both. */
const entrySchema = z.object({ value: z.array(z.string()), expires: z.number().nullish() });

/** Set once all that a store holds is sealed and indexed: no start has to read it all again. */
const SEALED = "all-sealed";
/** Turns kept of one conversation; far more than any context holds. */
const KEPT_TURNS = 60;
/** Conversations of one person in the index, from which on it is tidied. */
const LONG_LIST = 64;
/** A conversation that nobody continues is forgotten. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1_000;
/**
 * What says in which conversations a message is lasts longer than any of them: it is renewed by whoever goes on
 * with one before less than a conversation's own time is left.
 */
const INDEX_KEPT_MS = 2 * KEPT_MS;

/**
 * A thread is one conversation. Elsewhere each person has one in each channel, or all who are in the
 * channel have one together.
 */
export function conversationKey(
  place: {
    readonly channelId: string;
    readonly threadId: string | null;
    readonly personKey: string;
  },
  mode: "person" | "channel" | "off" = "person",
): string {
  if (place.threadId !== null) return `thread:${place.threadId}`;
  const shared = `channel:${place.channelId}`;
  return mode === "channel" ? shared : `${shared}:${place.personKey}`;
}

/**
 * Conversations by key. Writes are done one after another, so none overwrites another's: a conversation is in
 * one server or in direct messages, which Discord sends to one process alone.
 */
export class ConversationMemory {
  readonly #store: Keyv;
  readonly #keys: TurnKeys;
  /** Deletions that the store has not taken yet, on this machine. */
  readonly #missed: Keyv | undefined;
  readonly #missedIds = new Set<string>();
  /** How often the store failed. */
  #failures = 0;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param keys turns are stored sealed for who speaks in them
   * @param missed where deletions are noted that a store on a server did not take
   */
  constructor(store: Keyv, keys: TurnKeys, missed?: Keyv) {
    this.#store = store;
    this.#keys = keys;
    this.#missed = missed;
    store.on("error", () => {
      this.#failures += 1;
    });
  }

  /** The turns so far, oldest first; those of people who were forgotten are gone. */
  async turns(key: string): Promise<readonly Turn[]> {
    const parsed = turnsSchema.safeParse(await this.#store.get(`turns:${key}`));
    if (!parsed.success) return [];
    const isGone = ({ messageIds }: { readonly messageIds: readonly string[] }) =>
      messageIds.some((id) => this.#missedIds.has(id));
    // A question goes with its answer, as when the deletion is done.
    const gone = new Set(parsed.data.filter(isGone).map(({ exchangeId }) => exchangeId));
    const kept = parsed.data.filter(({ exchangeId }) => !gone.has(exchangeId));
    return openTurns(kept, this.#keys);
  }

  /** Every turn in which a person speaks or is answered, by conversation; by an index of theirs. */
  async turnsOf(personKey: string): Promise<ReadonlyMap<string, readonly Turn[]>> {
    const found = new Map<string, readonly Turn[]>();
    for (const key of await this.#listed(`person:${personKey}`)) {
      const own = (await this.turns(key)).filter(({ speakerKey }) => speakerKey === personKey);
      if (own.length > 0) found.set(key, own);
    }
    return found;
  }

  /** Once in a store's life: seals what was remembered in the clear before there was sealing, and indexes it. */
  async sealOld(): Promise<void> {
    if ((await this.#store.get(SEALED)) === true) return;
    const before = this.#failures;
    for await (const key of this.#conversations()) {
      await this.#oneByOne(async () => {
        // Only where it is needed: another process may be writing to the others just now.
        if (await this.#isInTheClear(key)) await this.#save(key, await this.turns(key));
        else await this.#index(key, await this.turns(key));
      });
    }
    if (this.#failures === before) await this.#store.set(SEALED, true);
  }

  /** Adds turns at the end. */
  append(key: string, added: readonly Turn[]): Promise<void> {
    return this.#oneByOne(async () => {
      const before = this.#failures;
      const turns = await this.turns(key);
      // What could not be read must not be overwritten by a store that has just come back.
      if (this.#failures === before) await this.#save(key, [...turns, ...added]);
    });
  }

  /**
   * Continues from an answer: the conversation becomes what led to that message, whoever asked it.
   * @returns whether the message is remembered
   */
  continueFrom(messageId: string, key: string): Promise<boolean> {
    return this.#oneByOne(async () => {
      for (const holder of await this.#holders(messageId)) {
        const turns = await this.turns(holder);
        const at = turns.findLastIndex((turn) => turn.messageIds.includes(messageId));
        if (at === -1) continue;
        if (holder !== key || at < turns.length - 1) await this.#save(key, turns.slice(0, at + 1));
        return true;
      }
      return false;
    });
  }

  /**
   * Puts another answer in the place of one, where that was the last word; where the conversation went
   * on, the other answer begins a branch that a reply to it continues.
   */
  replaceAnswer(messageId: string, answer: Turn): Promise<void> {
    return this.#oneByOne(async () => {
      for (const holder of await this.#holders(messageId)) {
        const turns = await this.turns(holder);
        const at = turns.findLastIndex((turn) => turn.messageIds.includes(messageId));
        if (at === -1) continue;
        const key = at === turns.length - 1 ? holder : `branch:${answer.messageIds[0]}`;
        await this.#save(key, [...turns.slice(0, at), answer]);
      }
    });
  }

  /** Puts a summary in the place of the oldest turns, if these are still what the conversation begins with. */
  replaceOldest(key: string, gone: readonly Turn[], summary: Turn): Promise<void> {
    return this.#oneByOne(async () => {
      const turns = await this.turns(key);
      const isSame = gone.every(
        ({ exchangeId, role }, index) =>
          turns[index]?.exchangeId === exchangeId && turns[index]?.role === role,
      );
      if (isSame) await this.#save(key, [summary, ...turns.slice(gone.length)]);
    });
  }

  /** A conversation in which this message is the last word; undefined when there is none. */
  async endingWith(messageId: string): Promise<string | undefined> {
    for (const holder of await this.#holders(messageId)) {
      if ((await this.turns(holder)).at(-1)?.messageIds.includes(messageId)) return holder;
    }
    return undefined;
  }

  /**
   * Forgets the turn that a message shows, with its question or answer; later, where the store is away.
   * @returns the exchanges whose text or context had it: that one and all after it
   */
  forgetMessage(messageId: string): Promise<readonly string[]> {
    return this.#oneByOne(async () => {
      this.#missedIds.delete(messageId);
      const before = this.#failures;
      const tainted = await this.#forget(messageId);
      if (this.#failures > before) {
        this.#missedIds.add(messageId);
        await this.#missed?.set(messageId, true);
      } else await this.#missed?.delete(messageId);
      return tainted;
    });
  }

  /** Forgets what the store did not let go when it was asked to. @returns the exchanges as `forgetMessage` */
  async forgetMissed(): Promise<readonly string[]> {
    if (this.#missed === undefined) return [];
    const ids: string[] = [];
    for await (const [key] of this.#missed.iterator())
      ids.push(String(key).split("::").at(-1) ?? "");
    const tainted: string[] = [];
    for (const id of ids) tainted.push(...(await this.forgetMessage(id)));
    return tainted;
  }

  /** Forgets a conversation. */
  forget(key: string): Promise<void> {
    return this.#oneByOne(async () => {
      await this.#store.delete(`turns:${key}`);
    });
  }

  /**
   * Notes that the bot takes part in a thread.
   * @param answers all messages there, or only those that mention it; undefined: as it was, else all
   */
  async joinThread(threadId: string, answers?: "all" | "mention"): Promise<void> {
    const before = await this.threadMode(threadId);
    await this.#store.set(`joined:${threadId}`, answers ?? before ?? "all", KEPT_MS);
  }

  /** Which messages of a thread the bot answers; undefined where it takes no part in it. */
  async threadMode(threadId: string): Promise<"all" | "mention" | undefined> {
    const mode: unknown = await this.#store.get(`joined:${threadId}`);
    // `true` is from before there was a choice.
    return mode === true || mode === "all" ? "all" : mode === "mention" ? "mention" : undefined;
  }

  async #save(key: string, turns: readonly Turn[]): Promise<void> {
    const kept = turns.slice(-KEPT_TURNS);
    const sealed = this.#sealed(kept);
    if (sealed === undefined) return;
    await this.#store.set(`turns:${key}`, sealed, KEPT_MS);
    const messageIds = new Set(kept.flatMap((turn) => turn.messageIds));
    // At once: a server across a network would else be waited for once for each message.
    await Promise.all(
      [...messageIds].map((id) => this.#enter(`holders:${id}`, key, INDEX_KEPT_MS)),
    );
    await this.#index(key, kept);
  }

  /**
   * Lists a conversation under those who speak in it, for as long as any of theirs may last. Done with each
   * turn: what another process overwrote at the same moment is listed again with the next one.
   */
  async #index(key: string, turns: readonly Turn[]): Promise<void> {
    for (const personKey of new Set(turns.map((turn) => turn.speakerKey))) {
      await this.#enter(`person:${personKey}`, key, undefined);
    }
  }

  /** Lists a conversation under what it is found by. A long list first loses what was forgotten. */
  async #enter(entry: string, key: string, ttlMs: number | undefined): Promise<void> {
    const before = this.#failures;
    const { keys: listed, expiresAtMs } = await this.#entry(entry);
    const lasts = expiresAtMs === undefined || expiresAtMs >= Date.now() + KEPT_MS;
    if (listed.includes(key) && lasts) return;
    const kept: string[] = [];
    for (const one of listed) {
      if (listed.length < LONG_LIST || (await this.#store.has(`turns:${one}`))) kept.push(one);
    }
    // What could not be read must not be overwritten by a store that has just come back.
    if (this.#failures === before)
      await this.#store.set(entry, [...new Set([...kept, key])], ttlMs);
  }

  /** Where keys can't be made (a full disk), the conversation goes on without being remembered. */
  #sealed(turns: readonly Turn[]): readonly Turn[] | undefined {
    try {
      return sealTurns(turns, this.#keys);
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#store.emit("error", error);
      return undefined;
    }
  }

  async *#conversations(): AsyncGenerator<string> {
    const keys: string[] = [];
    const entries = this.#store.iterator();
    for await (const [key] of entries) {
      const name = /(?:^|:)turns:(.+)$/.exec(String(key))?.[1];
      if (name !== undefined) keys.push(name);
    }
    yield* keys;
  }

  async #forget(messageId: string): Promise<readonly string[]> {
    const tainted = new Set<string>();
    for (const holder of await this.#holders(messageId)) {
      const turns = await this.turns(holder);
      const at = turns.findIndex((turn) => turn.messageIds.includes(messageId));
      if (at === -1) continue;
      for (const turn of turns.slice(at)) tainted.add(turn.exchangeId);
      const { exchangeId } = turns[at] ?? {};
      await this.#save(
        holder,
        turns.filter((turn) => turn.exchangeId !== exchangeId),
      );
    }
    await this.#store.delete(`holders:${messageId}`);
    return [...tainted];
  }

  async #isInTheClear(key: string): Promise<boolean> {
    const turns = turnsSchema.safeParse(await this.#store.get(`turns:${key}`)).data ?? [];
    return turns.some(({ content }) => !isSealed(content));
  }

  #holders(messageId: string): Promise<readonly string[]> {
    return this.#listed(`holders:${messageId}`);
  }

  async #listed(entry: string): Promise<readonly string[]> {
    return (await this.#entry(entry)).keys;
  }

  /** @returns what is listed, and when it ends by Keyv's clock, which is the machine's; undefined: never */
  async #entry(
    entry: string,
  ): Promise<{ readonly keys: readonly string[]; readonly expiresAtMs: number | undefined }> {
    const raw = entrySchema.safeParse(await this.#store.getRaw(entry)).data;
    return { keys: raw?.value ?? [], expiresAtMs: raw?.expires ?? undefined };
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
