/**
 * The gate's figures from log-probabilities: which held-out answers an adapter's implicit reward
 * prefers, and how likely the keep-set still is. It knows nothing of generation or thresholds.
 */
import { type ChatEncoder, encodeDialogues, encodePairs, type LengthLimits } from "../data/chat.ts";
import type { Dialogue } from "../data/preference.ts";
import { scoredTokens, sequenceLogp } from "../data/sequence.ts";
import type { Trainable } from "../model/trainable.ts";
import { mean } from "../pairs/opinions.ts";
import type { EvidencedPair } from "../pairs/pair.ts";
import type { LikelihoodFigures } from "./figures.ts";
import { proportionOf } from "./proportion.ts";

/** The part of a model that is asked. */
export type ScoringModel = Pick<Trainable, "logps">;

/** What to score. */
export type ScoringData = {
  readonly vocabulary: ChatEncoder;
  readonly heldOut: readonly EvidencedPair[];
  /** Of `heldOut`, those of raters who gave no training pair. */
  readonly unseen: readonly EvidencedPair[];
  readonly keepSet: readonly Dialogue[];
  readonly limits: LengthLimits;
};

/**
 * Scores the model with its adapter, and the keep-set also without it.
 * @throws the signal's reason
 */
export async function measureLikelihood(
  model: ScoringModel,
  data: ScoringData,
  signal?: AbortSignal,
): Promise<LikelihoodFigures & { readonly baseKeepNll: number }> {
  const { examples } = encodePairs(data.vocabulary, data.heldOut, data.limits);
  const sequences = examples.flatMap((example) => example.sequences);
  const logps = async (reference: boolean) =>
    (await model.logps(sequences, { reference, signal })).map(sequenceLogp);
  const policy = await logps(false);
  const reference = await logps(true);
  const shifts = policy.map((logp, index) => logp - (reference[index] ?? Number.NaN));
  const chosen = shifts.filter((_, index) => index % 2 === 0);
  const rejected = shifts.filter((_, index) => index % 2 === 1);
  // β > 0 scales both rewards alike, so it cannot change which is larger.
  const prefers = chosen.map((shift, index) => shift > (rejected[index] ?? Number.NaN));
  const unseenIds = new Set(data.unseen.map(({ id }) => id));
  return {
    preferred: proportionOf(prefers),
    preferredByUnseenRaters: proportionOf(
      prefers.filter((_, index) => unseenIds.has(examples[index]?.id ?? "")),
    ),
    chosenLogpShift: mean(chosen),
    ...(await keepNll(model, data, signal)),
  };
}

async function keepNll(
  model: ScoringModel,
  { vocabulary, keepSet, limits }: ScoringData,
  signal: AbortSignal | undefined,
): Promise<{ keepNll: number; baseKeepNll: number }> {
  const { examples } = encodeDialogues(vocabulary, keepSet, limits);
  const sequences = examples.flatMap((example) => example.sequences);
  const tokens = sequences.reduce((sum, sequence) => sum + scoredTokens(sequence), 0);
  const nll = async (reference: boolean) => {
    const logps = await model.logps(sequences, { reference, signal });
    return -logps.map(sequenceLogp).reduce((sum, logp) => sum + logp, 0) / tokens;
  };
  return { keepNll: await nll(false), baseKeepNll: await nll(true) };
}
