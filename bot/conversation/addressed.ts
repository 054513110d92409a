/** Whether a message is meant for the bot. Pure; it knows of Discord only what the facts say. */

/** What is known of a message. */
export type MessageFacts = {
  readonly isByPerson: boolean;
  /** A plain message or a reply; not a pin, a join, a boost. */
  readonly isOrdinary: boolean;
  readonly isDirect: boolean;
  /** The bot, or the role that came with it, is named in the text or pinged by the reply. */
  readonly mentionsBot: boolean;
  /** It replies to an answer of the bot. */
  readonly repliesToBot: boolean;
  /** It is in a thread that the bot takes part in. */
  readonly isInJoinedThread: boolean;
  /** Whether there is any text; without the Message Content intent there often is none. */
  readonly hasText: boolean;
};

/** Whether to answer it. */
export function isAddressed(facts: MessageFacts): boolean {
  if (!facts.isByPerson || !facts.isOrdinary) return false;
  if (facts.isDirect || facts.mentionsBot) return true;
  return facts.hasText && (facts.repliesToBot || facts.isInJoinedThread);
}

/** Ids seen lately, so that an event delivered twice is handled once. Bounded. */
export class SeenIds {
  readonly #ids = new Set<string>();
  readonly #capacity: number;

  constructor(capacity = 2_000) {
    this.#capacity = capacity;
  }

  /** Notes the id. @returns whether it was new */
  isNew(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > this.#capacity && oldest !== undefined) this.#ids.delete(oldest);
    return true;
  }
}
