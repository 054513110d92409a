/** The guard's rounds of training, each from one GGUF to the next, beginning with the chat model's. */
import { fittingLimits, type LengthLimits } from "../../data/chat.ts";
import { SeededRandom } from "../../data/random.ts";
import { SFT_DEFAULTS, trainLanguageModel } from "../../run/sft.ts";
import { drawLabelled, type GuardCorpus } from "../corpus/guard/judgements.ts";
import { type StageOutcome, type StageSetting, trainedStage } from "../trained-stage.ts";
import { cutToVerdict, encodeJudgements } from "./examples.ts";
import type { GuardPlan } from "./plan.ts";

/** What the rounds share. */
export type GuardRecipe = Omit<StageSetting, "maxTokensPerBatch"> & {
  readonly plan: GuardPlan;
  readonly corpus: GuardCorpus;
};

/** Apart from the evaluation's draws. */
const ROUND_SEED = 700;

/** One round on judgements of its own. @param round counted from 0 */
export function trainGuard(
  recipe: GuardRecipe,
  round: number,
  from: string,
  to: string,
): Promise<StageOutcome> {
  const { plan, corpus } = recipe;
  const settings = plan.rounds[round];
  if (settings === undefined) throw new RangeError(`the plan has no round ${round}`);
  const { judgements, learnt, options } = settings;
  const { maxTokensPerBatch } = options;
  const limits: LengthLimits = fittingLimits(SFT_DEFAULTS, maxTokensPerBatch, 1);
  const random = SeededRandom.from(plan.seed, ROUND_SEED + round);
  const worded = { ...corpus, wordings: "wide" } as const;
  const name = `round-${round + 1}`;
  return trainedStage({ ...recipe, maxTokensPerBatch }, { from, to, name }, (parts) => {
    const { surroundings, vocabulary } = parts;
    const drawn = Array.from({ length: judgements }, () => drawLabelled(worded, random, "trained"));
    const whole = encodeJudgements(vocabulary, drawn, limits);
    const examples = learnt === "verdict" ? cutToVerdict(vocabulary, whole) : whole;
    return trainLanguageModel({ ...surroundings, examples, options });
  });
}
