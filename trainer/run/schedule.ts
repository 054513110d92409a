/** The learning rate over a run, as a pure function of how far it is. */

/** How the rate falls after the warm-up. */
type Decay = "cosine" | "linear" | "constant";

/** Peak and shape of the learning rate. */
export type Schedule = {
  /** The rate at the end of the warm-up. */
  readonly learningRate: number;
  /** Share of the run in which the rate rises linearly from 0, [0, 1). */
  readonly warmupRatio: number;
  readonly decay: Decay;
};

/**
 * The rate for a step: rising over the warm-up, then falling to 0 at the run's end (the formulas of
 * transformers' get_cosine_schedule_with_warmup and get_linear_schedule_with_warmup).
 * @param progress share of the run that is done before the step, [0, 1]
 * @param stepShare share of the run that one step takes: the first step's rate is one step's rise, not 0
 */
export function learningRateAt(schedule: Schedule, progress: number, stepShare: number): number {
  const { learningRate, warmupRatio, decay } = schedule;
  if (progress < warmupRatio) {
    return learningRate * Math.min(1, (progress + stepShare) / warmupRatio);
  }
  const done = Math.min(1, (progress - warmupRatio) / (1 - warmupRatio));
  if (decay === "constant") return learningRate;
  if (decay === "linear") return learningRate * (1 - done);
  return (learningRate * (1 + Math.cos(Math.PI * done))) / 2;
}
