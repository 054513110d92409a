/**
 * From what people do with an answer to the feedback log. Nothing is confirmed before it is durable.
 * It knows people by their Discord ids only long enough to make pseudonyms of them.
 */
import { isCoded } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";
import type { Pseudonymise } from "#trainer/feedback/pseudonym.ts";
import type { CandidateInExchange } from "#trainer/feedback/recorded.ts";
import type { Exchange, FeedbackEvent } from "#trainer/feedback/records.ts";
import type { Stamp } from "./gateway-order.ts";
import { OutOfOrder, type Reaction } from "./out-of-order.ts";
import {
  clearedReactions,
  missedReactions,
  type ReactionChange,
  reactionEvent,
  voteOf,
} from "./reactions.ts";

/** What became of one act of feedback. */
export type CaptureOutcome =
  | { readonly kind: "recorded" | "duplicate" }
  /** No vote, or not on an answer of ours. */
  | { readonly kind: "ignored" }
  /** Not saved: the disk is full or the database damaged. */
  | { readonly kind: "not_saved"; readonly isDiskFull: boolean };

/** A rating of 1 to 5, and on which answer. */
export type Rating = {
  readonly candidateId: string;
  readonly personId: string;
  readonly stars: number;
  readonly comment?: string;
  readonly stamp: Stamp;
};

/** Who stands with one vote on a message. */
type Standing = { readonly personIds: ReadonlySet<string>; readonly isWhole: boolean };

/** Who stands with 👍 and 👎 on a message; not whole where there were too many to read. */
export type ReactionsRead = { readonly up: Standing; readonly down: Standing };

/** What a person said by a button about one answer. */
export type Said = {
  readonly candidateId: string;
  readonly personId: string;
  readonly stamp: Stamp;
};

/** An answer and its exchange, as the log has them. */
export type { CandidateInExchange };

type Log = Pick<
  FeedbackLog,
  | "candidate"
  | "candidateOfMessage"
  | "lastCandidate"
  | "eventsOf"
  | "record"
  | "recordDeletion"
  | "holdsMessage"
  | "recordMessage"
  | "recordExchange"
  | "messagesOf"
  | "voidUntilMs"
>;

/** Records feedback. No method throws for an expected failure. */
export class FeedbackCapture {
  readonly #feedback: Log;
  readonly #pseudonymise: Pseudonymise;
  readonly #log: Logger;
  readonly #outOfOrder = new OutOfOrder();

  constructor(parts: {
    readonly feedback: Log;
    readonly pseudonymise: Pseudonymise;
    readonly log: Logger;
  }) {
    this.#feedback = parts.feedback;
    this.#pseudonymise = parts.pseudonymise;
    this.#log = parts.log;
  }

  /** A person reacted, or took a reaction back; the answer may be recorded later (`shown`). */
  reaction(change: Reaction): CaptureOutcome {
    const value = voteOf(change.emoji);
    if (value === undefined) return { kind: "ignored" };
    return this.#guard(() => {
      const candidateId = this.#feedback.candidateOfMessage(change.messageId)?.candidate.id;
      if (candidateId === undefined) {
        this.#outOfOrder.keep(change);
        return { kind: "ignored" };
      }
      const raterKey = this.#pseudonymise(change.personId);
      const recorded = { ...change, candidateId, raterKey, value };
      const kind = this.#feedback.record(reactionEvent(recorded));
      if (change.action === "made") this.#takeBackCleared(recorded);
      return { kind };
    });
  }

  /**
   * A message shows (a part of) an answer; reactions that came before are recorded now.
   * @throws CodedError `disk_full`, `database_failed`
   */
  shown(messageId: string, candidateId: string): void {
    this.#feedback.recordMessage(messageId, candidateId);
    for (const change of this.#outOfOrder.take(messageId)) this.reaction(change);
  }

  /**
   * Messages show several answers of an exchange: a reaction on them is no vote, and deleting one
   * erases the exchange.
   */
  shownTogether(exchange: Exchange, messageIds: readonly string[]): CaptureOutcome {
    return this.#guard(() => {
      this.#feedback.recordExchange({ ...exchange, messageIds }, []);
      return { kind: "recorded" };
    });
  }

  /**
   * All reactions of a message were removed, or all of one emoji: whatever was made on it before is taken
   * back, also what is told only later.
   */
  reactionsCleared(messageId: string, stamp: Stamp, emoji?: string | null): CaptureOutcome {
    const value = voteOf(emoji ?? null);
    if (emoji !== undefined && value === undefined) return { kind: "ignored" };
    const clearing = { stamp, value };
    this.#outOfOrder.clear(messageId, clearing);
    return this.#guard(() => {
      const candidateId = this.#feedback.candidateOfMessage(messageId)?.candidate.id;
      if (candidateId === undefined) return { kind: "ignored" };
      const past = this.#feedback.eventsOf(candidateId);
      for (const vote of clearedReactions(past, messageId, clearing)) {
        const change = { messageId, candidateId, action: "withdrawn", stamp, ...vote } as const;
        this.#feedback.record(reactionEvent(change));
      }
      return { kind: "recorded" };
    });
  }

  /**
   * The reactions on a message were read from Discord as they stand: what was missed in the log is added.
   * @param stamp from before they were read
   * @param heardAtMs until then everything was heard
   */
  reactionsRead(
    messageId: string,
    read: ReactionsRead,
    stamp: Stamp,
    heardAtMs: number,
  ): CaptureOutcome {
    return this.#guard(() => {
      const candidateId = this.#feedback.candidateOfMessage(messageId)?.candidate.id;
      if (candidateId === undefined) return { kind: "ignored" };
      const past = this.#feedback.eventsOf(candidateId);
      const missed = ([1, -1] as const).flatMap((value) => {
        const { personIds, isWhole } = value === 1 ? read.up : read.down;
        const raterKeys = new Set([...personIds].map(this.#pseudonymise));
        return missedReactions(past, messageId, { value, raterKeys, isWhole });
      });
      for (const vote of missed) {
        const voidUntilMs = this.#feedback.voidUntilMs(vote.raterKey, candidateId) ?? 0;
        // Of whoever was expelled unheard, nobody can tell whether they voted before: it is void likewise.
        const atMs = voidUntilMs >= heardAtMs ? Math.min(stamp.atMs, voidUntilMs) : stamp.atMs;
        const read = { messageId, candidateId, stamp: { ...stamp, atMs }, ...vote };
        this.#feedback.record(reactionEvent(read));
      }
      return { kind: missed.length > 0 ? "recorded" : "duplicate" };
    });
  }

  /** A person rated an answer; a later rating replaces it. */
  rate({ candidateId, personId, stars, comment, stamp }: Rating): CaptureOutcome {
    return this.#say("rate", { candidateId, personId, stamp }, stars, comment);
  }

  /** A person voted by a button, once more or anew. */
  vote(said: Said, value: 1 | -1): CaptureOutcome {
    return this.#say("vote", said, value);
  }

  /** A person took the vote back, however it was given. */
  unvote({ candidateId, personId, stamp }: Said): CaptureOutcome {
    return this.#guard(() => {
      const raterKey = this.#pseudonymise(personId);
      const shared = {
        candidateId,
        raterKey,
        kind: "vote",
        action: "withdrawn",
        atMs: stamp.atMs,
      } as const;
      const kinds = ([1, -1] as const).map((value) =>
        this.#feedback.record({
          ...shared,
          id: `${stamp.id}:${raterKey}:unvote:${candidateId}:${value}`,
          value,
        }),
      );
      return { kind: kinds.includes("recorded") ? "recorded" : "duplicate" };
    });
  }

  /** A person asked for another answer instead of this one. */
  regenerated(said: Said): CaptureOutcome {
    return this.#say("regenerate", said, -1);
  }

  /** A person reported an answer. @param reason in the reporter's words, category first */
  reported(said: Said, reason: string): CaptureOutcome {
    return this.#say("report", said, -1, reason);
  }

  /** The answer that a message shows; undefined when it is none, or has been deleted. */
  answerOfMessage(messageId: string): CandidateInExchange | undefined {
    return withText(this.#feedback.candidateOfMessage(messageId));
  }

  /** The newest answer in any of these places. */
  lastAnswer(channelIds: readonly string[]): CandidateInExchange | undefined {
    return channelIds
      .flatMap((channelId) => withText(this.#feedback.lastCandidate(channelId)) ?? [])
      .toSorted((a, b) => b.candidate.createdAtMs - a.candidate.createdAtMs)
      .at(0);
  }

  /** An answer by its id. */
  answer(candidateId: string): CandidateInExchange | undefined {
    return withText(this.#feedback.candidate(candidateId));
  }

  /** The messages that an exchange is made of. */
  messagesOf(exchangeId: string): readonly string[] {
    return this.#feedback.messagesOf(exchangeId);
  }

  /** Whether a message's text is in some exchange of the log. */
  holds(messageId: string): boolean {
    return this.#feedback.holdsMessage(messageId);
  }

  /** A message or an exchange is gone: its text is erased from the log, now or when it arrives. */
  deleted(id: string): CaptureOutcome {
    return this.#guard(() => {
      this.#feedback.recordDeletion(id);
      return { kind: "recorded" };
    });
  }

  #say(
    kind: FeedbackEvent["kind"],
    { candidateId, personId, stamp }: Said,
    value: number,
    comment?: string,
  ): CaptureOutcome {
    return this.#guard(() => {
      const raterKey = this.#pseudonymise(personId);
      const outcome = this.#feedback.record({
        id: `${stamp.id}:${raterKey}:${kind}:${candidateId}`,
        candidateId,
        raterKey,
        kind,
        value,
        ...(comment === undefined || comment === "" ? {} : { comment }),
        action: "made",
        atMs: stamp.atMs,
      });
      return { kind: outcome };
    });
  }

  /** A clearing that was told before the reaction that it took away. */
  #takeBackCleared(made: Omit<ReactionChange, "action">): void {
    const { messageId, value, stamp } = made;
    for (const clearing of this.#outOfOrder.clearingsAfter(messageId, value, stamp.atMs)) {
      const change = { ...made, action: "withdrawn", stamp: clearing.stamp } as const;
      this.#feedback.record(reactionEvent(change));
    }
  }

  #guard(work: () => CaptureOutcome): CaptureOutcome {
    try {
      return work();
    } catch (error) {
      if (!isCoded(error, "disk_full") && !isCoded(error, "database_failed")) throw error;
      this.#log.error({ err: error }, "feedback was not saved");
      return { kind: "not_saved", isDiskFull: isCoded(error, "disk_full") };
    }
  }
}

/** A deleted answer has lost its text. */
function withText(found: CandidateInExchange | undefined): CandidateInExchange | undefined {
  return found?.candidate.text === "" ? undefined : found;
}
