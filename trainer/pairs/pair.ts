/** A preference pair with its evidence, and why feedback became none. Knows nothing of how either is found. */
import { createHash } from "node:crypto";
import type { ChatMessage } from "#engine/backends/backend.ts";

/** What says that one answer is better: people's votes and ratings, a thumbs-down and a judge, or a thumbs-down and plain evidence. */
type PairOrigin = "feedback" | "judged" | "plain";

/** One preference with what it rests on. */
export type EvidencedPair = {
  /**
   * Of prompt and both answers: the same preference has the same id each night. A plain hash while pairs are compared;
   * in a data set, and so wherever it is stored, one that only this installation can make (`DatasetOptions.nameOf`).
   */
  readonly id: string;
  /** Without the system prompt: it is trained without, and served with it (arXiv 2402.18540). */
  readonly prompt: readonly ChatMessage[];
  readonly promptKey: string;
  readonly chosen: string;
  readonly rejected: string;
  /** (0, 1]: a preference that two people share weighs twice what one person's does. */
  readonly weight: number;
  readonly origin: PairOrigin;
  /** Pseudonyms of all whose words are in it, sorted. */
  readonly personKeys: readonly string[];
  readonly evidence: {
    readonly candidateIds: readonly string[];
    readonly exchangeIds: readonly string[];
    /** Whose votes and ratings decided, sorted. */
    readonly raterKeys: readonly string[];
  };
  /** When the newest answer in it was given. */
  readonly atMs: number;
  /** When the first of the votes behind it was made. */
  readonly votedAtMs: number;
};

/** Why a rated answer, or a pair, is not trained on. */
export const DROP_REASONS = {
  deleted: "the message was deleted",
  not_caught_up: "what happened on Discord while the bot did not hear it has not been read again",
  from_discord: "came from Discord, and LEARN_FROM_DISCORD is not true",
  guild_off: "came from a server that has not switched learning on",
  no_consent: "holds words of somebody who has not agreed to be learnt from",
  no_rater_consent: "none of its raters has agreed to be learnt from",
  not_finished: "the answer was cut off, blocked or empty",
  gap_too_small: "no other answer to the prompt is clearly better or worse",
  no_counterpart: "liked, but there is no other answer to compare with",
  enough_newer: "enough newer answers were rated (TRAIN_MAX_ANSWERS)",
  prompt_full: "the prompt has given enough pairs",
  fresh_limit: "enough disliked answers were compared with fresh ones",
  fresh_same: "the fresh answer was the same, empty or unfinished",
  fresh_not_preferred:
    "a 👎 alone: neither is the answer plainly broken, nor did the judge prefer a fresh one in both orders (approving a regenerated answer, or /compare, says what is better)",
  rater_cap: "its rater has given the most pairs that one person may",
  unsafe_chosen: "the better answer does not pass moderation",
  prefers_compliance:
    "it prefers an answer over a refusal where the bare model or moderation objects",
} as const;

/** One of the reasons above. */
export type DropReason = keyof typeof DROP_REASONS;

/** What was dropped and why. */
export type Drop = { readonly reason: DropReason; readonly candidateIds: readonly string[] };

/** Identifies a prompt: the same messages, whoever asked. White space at the ends does not count. */
export function promptKey(messages: readonly ChatMessage[]): string {
  const said = messages.map(({ role, content }) => [role, content.normalize("NFC").trim()]);
  return sha256(JSON.stringify(said));
}

/** A pair's id. */
export function pairId(key: string, chosen: string, rejected: string): string {
  return sha256(JSON.stringify([key, chosen, rejected])).slice(0, 32);
}

/** Hex digest of a text. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
