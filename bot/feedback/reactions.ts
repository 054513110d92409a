/** Which emoji are votes, and which events a reaction leads to. Pure; the log and Discord are elsewhere. */
import type { FeedbackEvent } from "#trainer/feedback/records.ts";

/** The emoji that the bot places on its answers. */
export const VOTE_EMOJI = ["👍", "👎"] as const;

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
  readonly atMs: number;
};

/**
 * The event to record for a reaction, or undefined when it changes nothing: Discord may deliver one
 * twice. Ids count up per person, answer and emoji, so that a repetition of the same change has the
 * same id; skin tones of one emoji count as one.
 * @param past the answer's events so far
 */
export function reactionEvent(
  change: ReactionChange,
  past: readonly FeedbackEvent[],
): FeedbackEvent | undefined {
  const { messageId, candidateId, raterKey, value, action } = change;
  const own = past.filter(
    (event) => event.kind === "reaction" && event.raterKey === raterKey && event.value === value,
  );
  const last = own.at(-1);
  if ((last?.action ?? "withdrawn") === action) return undefined;
  const emoji = VOTE_EMOJI[value === 1 ? 0 : 1];
  return {
    id: `${messageId}:${raterKey}:reaction:${emoji}:${own.length}:${action}`,
    candidateId,
    raterKey,
    kind: "reaction",
    value,
    action,
    // A clock that was set back must not let an older event win.
    atMs: Math.max(change.atMs, (last?.atMs ?? 0) + 1),
  };
}

/** Everybody whose reaction of this value stands; of either value when it is undefined. */
export function standingReactions(
  past: readonly FeedbackEvent[],
  value: 1 | -1 | undefined,
): readonly { readonly raterKey: string; readonly value: 1 | -1 }[] {
  const last = new Map<string, FeedbackEvent>();
  for (const event of past) {
    if (event.kind === "reaction") last.set(`${event.raterKey}:${event.value}`, event);
  }
  return [...last.values()]
    .filter((event) => event.action === "made" && (value === undefined || event.value === value))
    .map((event) => ({ raterKey: event.raterKey, value: event.value === 1 ? 1 : -1 }));
}
