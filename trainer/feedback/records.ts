/**
 * What the feedback log holds, and which votes stand. Pure: it knows nothing of SQLite or Discord.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";

/** Where an exchange took place. Feedback from real Discord is learnt from only with permission. */
export type Source = "discord" | "playground" | "http";

/** One question in its conversation, and who asked where. */
export type Exchange = {
  readonly id: string;
  readonly source: Source;
  readonly guildId: string | null;
  readonly channelId: string;
  readonly threadId: string | null;
  /** Pseudonym of the asker (pseudonym.ts). */
  readonly authorKey: string;
  /** Pseudonyms of all whose words the messages hold; the author counts in any case. */
  readonly participantKeys?: readonly string[];
  /** The Discord messages whose text is among them: when one of these is deleted, the exchange is. */
  readonly messageIds?: readonly string[];
  /** Up to and with the question; without the system prompt. */
  readonly messages: readonly ChatMessage[];
  readonly systemPromptSha256: string;
  readonly createdAtMs: number;
};

/** One answer to an exchange's question. */
export type Candidate = {
  readonly id: string;
  readonly exchangeId: string;
  readonly text: string;
  /** The adapter that wrote it; null for the bare weights. */
  readonly adapter: string | null;
  readonly sampling: Readonly<Record<string, number>>;
  /** `stop`, `length`, `content_filter` or `aborted`. */
  readonly finishReason: string;
  readonly createdAtMs: number;
};

/**
 * How feedback was given: an emoji, a button, one to five stars, asking for another answer, a report.
 * Another answer is no vote by itself, and a report never is.
 */
export const FEEDBACK_KINDS = ["reaction", "vote", "rate", "regenerate", "report"] as const;

type FeedbackKind = (typeof FEEDBACK_KINDS)[number];

/** One act of giving or withdrawing feedback. Never changed once recorded. */
export type FeedbackEvent = {
  /** Idempotency key: the same id is recorded once, however often it arrives. */
  readonly id: string;
  readonly candidateId: string;
  /** Pseudonym of the rater. */
  readonly raterKey: string;
  readonly kind: FeedbackKind;
  /** reaction and vote: +1 or −1; rate: 1 to 5; regenerate and report: −1. */
  readonly value: number;
  readonly comment?: string;
  readonly action: "made" | "withdrawn";
  readonly atMs: number;
};

/** The one vote of a kind that a person has on a candidate now. */
export type StandingVote = Omit<FeedbackEvent, "id" | "action">;

/**
 * The votes that stand after `events`, whatever order they come in, however often each is repeated.
 * A rating is replaced by the next one. Reactions and buttons are one kind here: a person's 👍 and 👎
 * can lie side by side, the one made last stands, and withdrawing it lets the other stand again. At the same time a withdrawal wins, since
 * a vote that may have been taken back must not count.
 * @returns sorted by candidate, rater and kind
 */
export function standingVotes(events: Iterable<FeedbackEvent>): readonly StandingVote[] {
  const lastOfSlot = new Map<string, FeedbackEvent>();
  for (const event of events) keepLater(lastOfSlot, slotKey(event), event);
  const standing = new Map<string, FeedbackEvent>();
  for (const event of lastOfSlot.values()) {
    if (event.action === "made") keepLater(standing, voteKey(event), event);
  }
  return [...standing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { id: _, action: __, ...vote }]) => vote);
}

/** Whether a vote says how good an answer is, by thumbs or stars; asking for another answer and reporting do not. */
export function isRating({ kind }: Pick<StandingVote, "kind">): boolean {
  return kind === "reaction" || kind === "vote" || kind === "rate";
}

/**
 * Whether an event's value fits its kind.
 * @returns undefined when it does, otherwise what was expected and what came
 */
export function eventProblem(event: FeedbackEvent): string | undefined {
  const { kind, value } = event;
  switch (kind) {
    case "reaction":
    case "vote":
      return value === 1 || value === -1
        ? undefined
        : `expected a ${kind} of 1 or -1, got ${value}`;
    case "rate":
      return Number.isInteger(value) && value >= 1 && value <= 5
        ? undefined
        : `expected a rating from 1 to 5, got ${value}`;
    case "regenerate":
    case "report":
      return value === -1 ? undefined : `expected a ${kind} of -1, got ${value}`;
  }
}

function keepLater(into: Map<string, FeedbackEvent>, key: string, event: FeedbackEvent): void {
  const present = into.get(key);
  if (present === undefined || isLater(event, present)) into.set(key, event);
}

function isLater(a: FeedbackEvent, b: FeedbackEvent): boolean {
  if (a.atMs !== b.atMs) return a.atMs > b.atMs;
  if (a.action !== b.action) return a.action === "withdrawn";
  return a.id > b.id;
}

function voteKey(event: FeedbackEvent): string {
  const kind = event.kind === "vote" ? "reaction" : event.kind;
  return JSON.stringify([event.candidateId, event.raterKey, kind]);
}

function slotKey(event: FeedbackEvent): string {
  return event.kind === "rate" ? voteKey(event) : `${voteKey(event)}${Math.sign(event.value)}`;
}
