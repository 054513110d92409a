/**
 * Measures a model as a guard on conversations that were never trained on, by the engine's own guard layer
 * at its default threshold. It changes nothing.
 */
import type { Backend } from "#engine/backends/backend.ts";
import { BackendGuard } from "#engine/backends/guard-model.ts";
import { isCoded } from "#engine/base/errors.ts";
import { Guard } from "#engine/moderation/guard.ts";
import { type GuardTurn, QWEN3GUARD } from "#engine/moderation/guard-format.ts";
import { DEFAULT_POLICY, decide } from "#engine/moderation/guild-policy.ts";
import type { Passage } from "#engine/moderation/moderator.ts";
import { SeededRandom } from "../data/random.ts";
import { mapBounded } from "../judge/generation.ts";
import type { Corpus } from "./corpus/corpus.ts";
import { drawHeldOutGuardCase, type Labelled } from "./corpus/guard-judgements.ts";

/** Verdicts by what was judged, and the truth. */
type GuardEvaluation = {
  readonly queries: Tally;
  readonly answers: Tally;
  /** The model gave no verdict: the text would be withheld. */
  readonly without: number;
};
type Tally = { unsafe: number; caught: number; safe: number; passed: number };
type Verdict = { readonly one: Labelled; readonly blocks: boolean | undefined };

const SEED = 91;

/** Judges `limit` conversations. */
export async function evaluateGuard(
  backend: Backend,
  corpus: Corpus,
  { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
): Promise<GuardEvaluation> {
  const guard = new Guard(new BackendGuard("measured", backend), QWEN3GUARD);
  const random = SeededRandom.from(SEED);
  const cases = Array.from({ length: limit }, () => drawHeldOutGuardCase(corpus, random));
  const verdicts = await mapBounded(cases, backend.info.streams, async (one): Promise<Verdict> => {
    return { one, blocks: await blocks(guard, one.turns, signal) };
  });
  const of = (role: GuardTurn["role"]) =>
    tally(verdicts.filter(({ one }) => one.turns.at(-1)?.role === role));
  const without = verdicts.filter(({ blocks: known }) => known === undefined).length;
  return { queries: of("user"), answers: of("assistant"), without };
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
    return found.some((one) => decide(DEFAULT_POLICY, one).action === "block");
  } catch (error) {
    if (isCoded(error, "guard_failed")) return undefined;
    throw error;
  }
}

function tally(verdicts: readonly Verdict[]): Tally {
  const count = { unsafe: 0, caught: 0, safe: 0, passed: 0 };
  for (const { one, blocks: blocked } of verdicts) {
    if (one.categories.length > 0) {
      count.unsafe += 1;
      if (blocked !== false) count.caught += 1;
    } else {
      count.safe += 1;
      if (blocked === false) count.passed += 1;
    }
  }
  return count;
}
