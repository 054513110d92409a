/** Which emoji are votes, and which events a reaction leads to. Pure; the log and Discord are elsewhere. */
import { type FeedbackEvent, standingVotes } from "#trainer/feedback/records.ts";
import type { Stamp } from "./gateway-order.ts";
import { type Clearing, clears } from "./out-of-order.ts";

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

/**
 * Everybody whose reaction on this message was taken away by a clearing. Whoever took it back themselves
 * before is among them: the outcome must not depend on which of the two is told first.
 */
export function clearedReactions(
  past: readonly FeedbackEvent[],
  messageId: string,
  clearing: Clearing,
): readonly { readonly raterKey: string; readonly value: 1 | -1 }[] {
  const made = past.filter(
    (event) =>
      event.kind === "reaction" &&
      event.action === "made" &&
      event.id.startsWith(`${messageId}:`) &&
      clears(clearing, event),
  );
  const each = new Map(
    made.map(({ raterKey, value }) => [`${raterKey}:${value}`, { raterKey, value }]),
  );
  return [...each.values()].map(({ raterKey, value }) => ({
    raterKey,
    value: value === 1 ? 1 : -1,
  }));
}

/**
 * What the log lacks to agree with who stands on a message now.
 * @param read whoever is absent took the vote back, if all who stand were read
 */
export function missedReactions(
  past: readonly FeedbackEvent[],
  messageId: string,
  read: {
    readonly value: 1 | -1;
    readonly raterKeys: ReadonlySet<string>;
    readonly isWhole: boolean;
  },
): readonly Pick<ReactionChange, "raterKey" | "value" | "action">[] {
  const { value, raterKeys, isWhole } = read;
  const ofMessage = past.filter(
    (event) => event.value === value && event.id.startsWith(`${messageId}:`),
  );
  const standing = new Set(
    standingVotes(ofMessage.filter(({ kind }) => kind === "reaction")).map(
      ({ raterKey }) => raterKey,
    ),
  );
  const made = [...raterKeys].filter((raterKey) => !standing.has(raterKey));
  const withdrawn = isWhole ? [...standing].filter((raterKey) => !raterKeys.has(raterKey)) : [];
  return [
    ...made.map((raterKey) => ({ raterKey, value, action: "made" as const })),
    ...withdrawn.map((raterKey) => ({ raterKey, value, action: "withdrawn" as const })),
  ];
}
