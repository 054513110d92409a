/**
 * How a result of OpenAI's moderations (https://platform.openai.com/docs/guides/moderation) reads as hazards: what
 * a server that looks at pictures answers. It decides nothing and calls no server.
 */
import type { Hazard } from "./categories.ts";
import type { Assessment } from "./moderator.ts";

/** One result of OpenAI's `POST /v1/moderations`. */
export type ModerationResult = {
  readonly flagged: boolean;
  readonly categories: Readonly<Record<string, boolean>>;
  readonly category_scores: Readonly<Record<string, number>>;
};

const HAZARD_OF: Readonly<Record<string, Hazard>> = {
  harassment: "S10",
  "harassment/threatening": "S1",
  hate: "S10",
  "hate/threatening": "S10",
  illicit: "S2",
  "illicit/violent": "S9",
  "self-harm": "S11",
  "self-harm/intent": "S11",
  "self-harm/instructions": "S11",
  sexual: "S12",
  "sexual/minors": "S4",
  violence: "S1",
  "violence/graphic": "S1",
};
/** A server knows its own thresholds: what it flags is unsafe whatever a community's threshold is. */
const FLAGGED = 0.99;

/** What a result says, by hazard: the likeliest of the categories that stand for it. */
export function assessResult(result: ModerationResult): readonly Assessment[] {
  const scores = new Map<string, number>();
  const raise = (hazard: string, score: number) =>
    scores.set(hazard, Math.max(score, scores.get(hazard) ?? 0));
  for (const [category, score] of Object.entries(result.category_scores)) {
    raise(HAZARD_OF[category] ?? "unspecified", Math.min(1, Math.max(0, score)));
  }
  const named = Object.entries(result.categories).filter(([, isFlagged]) => isFlagged);
  for (const [category] of named) raise(HAZARD_OF[category] ?? "unspecified", FLAGGED);
  if (result.flagged && named.length === 0) raise("unspecified", FLAGGED);
  return [...scores].map(([hazard, unsafe]) => ({
    probabilities: { safe: 1 - unsafe, controversial: 0, unsafe },
    hazards: [hazard],
  }));
}
