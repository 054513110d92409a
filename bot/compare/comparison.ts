/** One blind comparison of two answers: what is kept of it, who won, and how it looks. Pure. */
import { z } from "zod";
import { type FeedbackEvent, standingVotes } from "#trainer/feedback/records.ts";
import type { Button } from "../answer/draft.ts";
import { SMALL } from "../answer/wording.ts";
import type { Language } from "../language/language.ts";

const side = z.object({ candidateId: z.string(), name: z.string() });

/** What is kept of a comparison; the answers and the votes are in the feedback log. */
export const comparisonSchema = z.object({
  id: z.string(),
  /** Null in direct messages; it was not written down at first. */
  guildId: z.string().nullable().optional(),
  channelId: z.string(),
  /** The last one carries the buttons; empty until they are posted. */
  messageIds: z.array(z.string()),
  /** As A and B, in the order in which they are shown. */
  sides: z.tuple([side, side]),
  quorum: z.number(),
  closesAtMs: z.number(),
  isClosed: z.boolean(),
  /** The language in which it is told. */
  locale: z.string().optional(),
});

/** One comparison. */
export type Comparison = z.infer<typeof comparisonSchema>;

/** How many prefer which. */
export type Tally = { readonly a: number; readonly b: number };

/** The kind of its buttons, before the colon of their custom ids. */
export const COMPARE_BUTTON = "cmp";

/** The people who prefer A, and B: each has one standing vote on both answers. */
export function tallyOf(events: Iterable<FeedbackEvent>, comparison: Comparison): Tally {
  const liked = standingVotes(events).filter(({ kind, value }) => kind === "vote" && value === 1);
  const [a, b] = comparison.sides.map(
    ({ candidateId }) => liked.filter((vote) => vote.candidateId === candidateId).length,
  );
  return { a: a ?? 0, b: b ?? 0 };
}

/** Whether it is to end now. */
export function isDue(comparison: Comparison, { a, b }: Tally, nowMs: number): boolean {
  return a + b >= comparison.quorum || nowMs >= comparison.closesAtMs;
}

/** Both answers, under neutral names. */
export function blindText(language: Language, first: string, second: string): string {
  return language.say("compare.text", { first, second });
}

/** While it is open: how far it is, not who leads. */
export function openFooter(
  language: Language,
  { quorum, closesAtMs }: Comparison,
  { a, b }: Tally,
): string {
  const when = `<t:${Math.floor(closesAtMs / 1_000)}:R>`;
  return language.say("compare.open", { votes: a + b, quorum, when });
}

/** Once it is closed: which was which, and who won. */
export function revealFooter(
  language: Language,
  { sides: [first, second] }: Comparison,
  { a, b }: Tally,
): string {
  return language.say("compare.reveal", {
    first: first.name,
    firstVotes: language.say("compare.votes", { count: a }),
    second: second.name,
    secondVotes: language.say("compare.votes", { count: b }),
    verdict: language.say(winnerOf(a, b)),
  });
}

function winnerOf(a: number, b: number) {
  if (a === b) return "compare.draw";
  return a > b ? "compare.a_won" : "compare.b_won";
}

/** A message's text with another last small line. */
export function withFooter(content: string, footer: string): string {
  return `${content.replace(/\n-# [^\n]*$/, "")}\n${SMALL}${footer}`;
}

/** A, B, and no opinion any more. */
export function compareButtons(language: Language, id: string): readonly Button[] {
  const [a, b] = [language.say("button.a_better"), language.say("button.b_better")];
  const neither = language.say("button.neither");
  return [
    { id: `${COMPARE_BUTTON}:a:${id}`, label: a, style: "primary" },
    { id: `${COMPARE_BUTTON}:b:${id}`, label: b, style: "primary" },
    { id: `${COMPARE_BUTTON}:none:${id}`, label: neither, style: "secondary" },
  ];
}
