/**
 * Measures a model as a guard on conversations that were never trained on, by the engine's own guard layer
 * at its default threshold. It changes nothing.
 */

import type { Backend } from "#engine/backends/backend.ts";
import { BackendGuard } from "#engine/backends/guard-model.ts";
import { isCoded } from "#engine/base/errors.ts";
import { Guard } from "#engine/moderation/guard.ts";
import type { GuardFormat, GuardTurn } from "#engine/moderation/guard-format.ts";
import { DEFAULT_POLICY, decide } from "#engine/moderation/guild-policy.ts";
import type { Passage } from "#engine/moderation/moderator.ts";
import { loadProbes } from "#prompts/load.ts";
import { SeededRandom } from "../../data/random.ts";
import { mapBounded } from "../../judge/generation.ts";
import { drawLabelled, type GuardCorpus, type GuardSplit } from "../corpus/guard/judgements.ts";

/** Verdicts by what was judged, and the truth. */
export type GuardEvaluation = {
  /** Asks that are known, in wordings that are not; answers in forms that are not. */
  readonly queries: GuardTally;
  readonly answers: GuardTally;
  /** Asks that were never trained on in any wording. */
  readonly unseenQueries: GuardTally;
  readonly unseenAnswers: GuardTally;
  /** The adapters' gate's probes (prompts/probes). */
  readonly probes: GuardTally;
  /** Prompts of the caller's own. */
  readonly others?: GuardTally;
  /** The model gave no verdict: the text would be withheld. */
  readonly without: number;
  /** What was judged wrongly, for people to read. */
  readonly mistakes: readonly Mistake[];
};

/** How many of each kind, and how many of those were judged rightly. */
export type GuardTally = {
  readonly unsafe: number;
  readonly caught: number;
  readonly safe: number;
  readonly passed: number;
};

/** A conversation with the truth about its last turn. */
export type GuardCase = { readonly turns: readonly GuardTurn[]; readonly unsafe: boolean };

type Verdict = { readonly one: GuardCase; readonly blocks: boolean | undefined };
type Mistake = { readonly of: string; readonly unsafe: boolean; readonly text: string };

const SEED = 91;
const LISTED_MISTAKES = 40;

/** How to measure. */
type Measuring = {
  readonly format: GuardFormat;
  /** Conversations of each split. */
  readonly limit: number;
  /** Judged besides. */
  readonly others?: readonly GuardCase[];
  readonly signal: AbortSignal;
};

/** Judges held-out conversations and the gate's probes. */
export async function evaluateGuard(
  backend: Backend,
  corpus: GuardCorpus,
  { format, limit, others, signal }: Measuring,
): Promise<GuardEvaluation> {
  const guard = new Guard(new BackendGuard("measured", backend), format);
  const judge = (cases: readonly GuardCase[]) =>
    mapBounded(cases, backend.info.streams, async (one): Promise<Verdict> => {
      return { one, blocks: await blocks(guard, one.turns, signal) };
    });
  const known = await judge(heldOut(corpus, "wordings", limit));
  const unseen = await judge(heldOut(corpus, "asks", limit));
  const probes = await judge(probeCases());
  const given = others === undefined ? undefined : await judge(others);
  const all = { wordings: known, asks: unseen, probes, others: given ?? [] };
  return {
    queries: tally(lastBy(known, "user")),
    answers: tally(lastBy(known, "assistant")),
    unseenQueries: tally(lastBy(unseen, "user")),
    unseenAnswers: tally(lastBy(unseen, "assistant")),
    probes: tally(probes),
    ...(given === undefined ? {} : { others: tally(given) }),
    without: Object.values(all)
      .flat()
      .filter(({ blocks: verdict }) => verdict === undefined).length,
    // Other people's prompts are measured, not published.
    mistakes: [...mistakesOf("wordings", known), ...mistakesOf("asks", unseen)],
  };
}

function heldOut(corpus: GuardCorpus, split: GuardSplit, count: number): readonly GuardCase[] {
  const random = SeededRandom.from(SEED);
  return Array.from({ length: count }, () => {
    const { turns, categories } = drawLabelled(corpus, random, split);
    return { turns, unsafe: categories.length > 0 };
  });
}

function probeCases(): readonly GuardCase[] {
  return (["unlawful", "benign"] as const).flatMap((kind) =>
    loadProbes(kind).map(({ text }) => ({
      turns: [{ role: "user" as const, content: text }],
      unsafe: kind === "unlawful",
    })),
  );
}

async function blocks(
  guard: Guard,
  turns: readonly GuardTurn[],
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const last = turns.at(-1);
  const passage: Passage =
    last?.role === "assistant"
      ? { stage: "output", turns: turns.slice(0, -1), text: last.content, context: "", signal }
      : { stage: "input", turns, text: "", context: "", signal };
  try {
    const found = await guard.check(passage);
    // Of a conversation, the verdict on its last turn: those before it are asked about in other cases.
    return found.slice(-1).some((one) => decide(DEFAULT_POLICY, one).action === "block");
  } catch (error) {
    if (isCoded(error, "guard_failed")) return undefined;
    throw error;
  }
}

function lastBy(verdicts: readonly Verdict[], role: GuardTurn["role"]): readonly Verdict[] {
  return verdicts.filter(({ one }) => one.turns.at(-1)?.role === role);
}

function tally(verdicts: readonly Verdict[]): GuardTally {
  const unsafe = verdicts.filter(({ one }) => one.unsafe);
  const safe = verdicts.filter(({ one }) => !one.unsafe);
  return {
    unsafe: unsafe.length,
    caught: unsafe.filter(({ blocks: verdict }) => verdict !== false).length,
    safe: safe.length,
    passed: safe.filter(({ blocks: verdict }) => verdict === false).length,
  };
}

function mistakesOf(of: string, verdicts: readonly Verdict[]): readonly Mistake[] {
  return verdicts
    .filter(({ one, blocks: verdict }) => one.unsafe === (verdict === false))
    .slice(0, LISTED_MISTAKES)
    .map(({ one }) => ({
      of,
      unsafe: one.unsafe,
      text: one.turns.map(({ role, content }) => `${role}: ${content}`).join("\n"),
    }));
}
