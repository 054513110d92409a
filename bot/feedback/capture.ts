/**
 * From what people do with an answer to the feedback log. Nothing is confirmed before it is durable.
 * It knows people by their Discord ids only long enough to make pseudonyms of them.
 */
import type { Clock } from "#engine/base/clock.ts";
import { isCoded } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { CandidateInExchange, FeedbackLog } from "#trainer/feedback/log.ts";
import type { Pseudonymise } from "#trainer/feedback/pseudonym.ts";
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import { reactionEvent, standingReactions, voteOf } from "./reactions.ts";

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
  /** Of the interaction: the same one is recorded once. */
  readonly interactionId: string;
};

type Log = Pick<
  FeedbackLog,
  "candidate" | "candidateOfMessage" | "lastCandidate" | "eventsOf" | "record" | "recordDeletion"
>;

/** Records feedback. No method throws for an expected failure. */
export class FeedbackCapture {
  readonly #feedback: Log;
  readonly #pseudonymise: Pseudonymise;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(parts: {
    readonly feedback: Log;
    readonly pseudonymise: Pseudonymise;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#feedback = parts.feedback;
    this.#pseudonymise = parts.pseudonymise;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** A person reacted, or took a reaction back. @param emoji its name, as Discord gives it */
  reaction(change: {
    readonly messageId: string;
    readonly personId: string;
    readonly emoji: string | null;
    readonly action: FeedbackEvent["action"];
  }): CaptureOutcome {
    const value = voteOf(change.emoji);
    if (value === undefined) return { kind: "ignored" };
    return this.#guard(() => {
      const candidateId = this.#feedback.candidateOfMessage(change.messageId)?.candidate.id;
      if (candidateId === undefined) return { kind: "ignored" };
      const raterKey = this.#pseudonymise(change.personId);
      return this.#react({ ...change, candidateId, raterKey, value });
    });
  }

  /** All reactions of a message were removed, or all of one emoji. */
  reactionsCleared(messageId: string, emoji?: string | null): CaptureOutcome {
    const value = voteOf(emoji ?? null);
    if (emoji !== undefined && value === undefined) return { kind: "ignored" };
    return this.#guard(() => {
      const candidateId = this.#feedback.candidateOfMessage(messageId)?.candidate.id;
      if (candidateId === undefined) return { kind: "ignored" };
      for (const vote of standingReactions(this.#feedback.eventsOf(candidateId), value)) {
        this.#react({ messageId, candidateId, action: "withdrawn", ...vote });
      }
      return { kind: "recorded" };
    });
  }

  /** A person rated an answer; a later rating replaces it. */
  rate({ candidateId, personId, stars, comment, interactionId }: Rating): CaptureOutcome {
    return this.#guard(() => {
      const raterKey = this.#pseudonymise(personId);
      const ratings = this.#feedback
        .eventsOf(candidateId, raterKey)
        .filter((event) => event.kind === "rate");
      const kind = this.#feedback.record({
        id: `${interactionId}:${raterKey}:rate`,
        candidateId,
        raterKey,
        kind: "rate",
        value: stars,
        ...(comment === undefined || comment === "" ? {} : { comment }),
        action: "made",
        atMs: Math.max(this.#clock.nowMs(), (ratings.at(-1)?.atMs ?? 0) + 1),
      });
      return { kind };
    });
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

  /** A message or an exchange is gone: its text is erased from the log, now or when it arrives. */
  deleted(id: string): CaptureOutcome {
    return this.#guard(() => {
      this.#feedback.recordDeletion(id);
      return { kind: "recorded" };
    });
  }

  #react(change: {
    readonly messageId: string;
    readonly candidateId: string;
    readonly raterKey: string;
    readonly value: 1 | -1;
    readonly action: FeedbackEvent["action"];
  }): CaptureOutcome {
    const past = this.#feedback.eventsOf(change.candidateId, change.raterKey);
    const event = reactionEvent({ ...change, atMs: this.#clock.nowMs() }, past);
    return { kind: event === undefined ? "duplicate" : this.#feedback.record(event) };
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
