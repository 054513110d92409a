/** Which emoji are votes, and which events a reaction leads to. Pure; the log and Discord are elsewhere. */
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import type { Stamp } from "./gateway-order.ts";

/** Fitzpatrick modifiers, and the selector that asks for a coloured picture. */
const VARIANTS = /[\u{1f3fb}-\u{1f3ff}]|\ufe0f/gu;

/** +1 or −1 for 👍 and 👎 of any skin tone; undefined for all other emoji. */
export function voteOf(emoji: string | null): 1 | -1 | undefined {
  switch (emoji?.replaceAll(VARIANTS, "")) {
    case "👍":
      return 1;
    case "👎":
      return -1;
    default:
      return undefined;
  }
}

/** One reaction made or withdrawn by one person. */
export type ReactionChange = {
  readonly messageId: string;
  readonly candidateId: string;
  readonly raterKey: string;
  readonly value: 1 | -1;
  readonly action: FeedbackEvent["action"];
  readonly stamp: Stamp;
};

/**
 * The event to record for a reaction: a function of what happened alone, so that neither order nor
 * repetition of deliveries matters. Skin tones of one emoji count as one.
 */
export function reactionEvent(change: ReactionChange): FeedbackEvent {
  const { messageId, candidateId, raterKey, value, action, stamp } = change;
  const emoji = value === 1 ? "👍" : "👎";
  return {
    id: `${messageId}:${raterKey}:reaction:${emoji}:${stamp.id}:${action}`,
    candidateId,
    raterKey,
    kind: "reaction",
    value,
    action,
    atMs: stamp.atMs,
  };
}

/** Everybody whose reaction of this value stands; of either value when it is undefined. */
export function standingReactions(
  past: readonly FeedbackEvent[],
  value: 1 | -1 | undefined,
): readonly { readonly raterKey: string; readonly value: 1 | -1 }[] {
  const last = new Map<string, FeedbackEvent>();
  for (const event of past.filter(({ kind }) => kind === "reaction")) {
    const key = `${event.raterKey}:${event.value}`;
    if ((last.get(key)?.atMs ?? 0) <= event.atMs) last.set(key, event);
  }
  return [...last.values()]
    .filter((event) => event.action === "made" && (value === undefined || event.value === value))
    .map((event) => ({ raterKey: event.raterKey, value: event.value === 1 ? 1 : -1 }));
}
