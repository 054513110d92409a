/**
 * When a run should end before its time, as a pure function of the evaluations so far: so it says the same
 * whether the run was interrupted or not. It knows nothing of models or files.
 */

/** What to watch, and how long to wait. */
export type EarlyStop = {
  /** A figure of the evaluation, such as `eval_loss` or `eval_rewards/accuracies`. */
  readonly figure: string;
  readonly goal: "lowest" | "highest";
  /** Evaluations in a row without a new best after which the run ends; from 1. */
  readonly patience: number;
  /** A new best must be better than the last one by more than this; 0 is usual. */
  readonly minDelta: number;
};

/** One evaluation's figure and the step that it was taken at. */
export type Evaluation = { readonly step: number; readonly value: number };

/** What the evaluations say. */
export type EarlyStopVerdict = {
  /** Undefined before the first evaluation. */
  readonly best: Evaluation | undefined;
  /** The best one before `best` was found. */
  readonly before: Evaluation | undefined;
  readonly isOver: boolean;
};

/**
 * Judges the evaluations so far. A figure that is no number is no best.
 * @param evaluations in the order of their steps
 */
export function judgeEvaluations(
  { goal, patience, minDelta }: EarlyStop,
  evaluations: readonly Evaluation[],
): EarlyStopVerdict {
  const sign = goal === "highest" ? 1 : -1;
  let best: Evaluation | undefined;
  let before: Evaluation | undefined;
  let waited = 0;
  for (const evaluation of evaluations) {
    const gain = best === undefined ? Infinity : sign * (evaluation.value - best.value);
    if (!Number.isNaN(evaluation.value) && gain > minDelta) {
      before = best;
      best = evaluation;
      waited = 0;
    } else {
      waited += 1;
    }
    // What came after the end cannot have been part of the run.
    if (waited >= patience) return { best, before, isOver: true };
  }
  return { best, before, isOver: false };
}
