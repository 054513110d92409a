/** The sizes of the guard's recipe: how much it judges, what of its answers is learnt, and how. No work is done here. */
import { TRAIN_DEFAULTS, type TrainOptions } from "../../run/run.ts";

/** A round of training. */
type GuardRound = {
  readonly judgements: number;
  /** The first verdict token alone, which is what a guard is scored by, or every token of the answer. */
  readonly learnt: "verdict" | "answer";
  readonly options: TrainOptions;
};

/** Everything that the guard depends on, beside the model that it starts from, the corpus and the code. */
export type GuardPlan = {
  readonly seed: number;
  readonly rounds: readonly GuardRound[];
  /** Held-out conversations of each kind that are judged afterwards. */
  readonly evaluated: number;
};

const OPTIMISER: TrainOptions = {
  ...TRAIN_DEFAULTS,
  learningRate: 8e-4,
  batchSize: 32,
  warmupRatio: 0.06,
  beta2: 0.98,
  weightDecay: 0.05,
  checkpointEverySteps: 100,
  maxTokensPerBatch: 4096,
};

/**
 * The verdict alone first: beside the thirty tokens of an answer's form, its one bit would be a thirtieth of the
 * loss, and a first try that learnt whole answers from the start learnt the form and nothing else.
 */
export const GUARD_PLAN: GuardPlan = {
  seed: 1,
  rounds: [
    { judgements: 12_000, learnt: "verdict", options: OPTIMISER },
    { judgements: 2_500, learnt: "answer", options: { ...OPTIMISER, learningRate: 4e-4 } },
  ],
  evaluated: 600,
};

/** Seconds instead of minutes: it shows that every stage runs, and makes a guard that cannot judge. */
export const QUICK_GUARD_PLAN: GuardPlan = {
  ...GUARD_PLAN,
  rounds: GUARD_PLAN.rounds.map((round) => ({ ...round, judgements: 64 })),
  evaluated: 6,
};
