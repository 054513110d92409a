/**
 * The masked language-modelling loss as a pure function of token log-probabilities, with its gradient.
 * It knows nothing of what was masked or why: a token counts where its mask is 1.
 */

/** A part of a step's loss: `loss` summed over this part, gradients per token. */
export type MaskedSftLoss = {
  /** −Σ log p over the scored tokens, divided by `normaliser` */
  readonly loss: number;
  /** Scored tokens in this part. */
  readonly scoredTokens: number;
  /** d loss / d log p, one list for each sequence, [tokens], 0 where not scored */
  readonly gradients: Float32Array[];
};

/**
 * Mean negative log-likelihood of the scored tokens.
 * @param logps log p of each token, one list [tokens] for each sequence
 * @param scored 1 where a token counts, shaped like `logps`
 * @param normaliser scored tokens of the whole step, so that parts of it (accumulated micro-batches)
 *   add up to the mean over the step whatever the split; above 0
 */
export function maskedSftLoss(
  logps: readonly Float32Array[],
  scored: readonly Uint8Array[],
  normaliser: number,
): MaskedSftLoss {
  if (!(normaliser > 0)) throw new RangeError(`normaliser must be above 0, got ${normaliser}`);
  let sum = 0;
  let scoredTokens = 0;
  const gradients = logps.map((sequence, index) => {
    const mask = scored[index];
    if (mask?.length !== sequence.length) {
      throw new RangeError(
        `mask ${index} must hold ${sequence.length} tokens, got ${mask?.length}`,
      );
    }
    return sequence.map((logp, token) => {
      if (mask[token] !== 1) return 0;
      sum -= logp;
      scoredTokens += 1;
      return -1 / normaliser;
    });
  });
  return { loss: sum / normaliser, scoredTokens, gradients };
}
