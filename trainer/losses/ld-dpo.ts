/**
 * Length-desensitised DPO: what a completion says beyond the other's length counts less, so that being long is
 * worth less by itself. Pure; it prepares log-probabilities for any loss of summed ones.
 */

/** A completion's log-probability in two parts, at the pair's shared length: the shorter completion's tokens. */
export type SplitLogp = {
  /** Σ over the first tokens, as many as both completions have. */
  readonly shared: number;
  /** Σ over those behind; 0 for the shorter completion. */
  readonly tail: number;
};

/**
 * log π̂(y|x) = shared + α · tail (arXiv 2409.06411, its modified likelihood). Its gradient is 1 for each shared token and α for
 * each in the tail: a loss's gradient by it is multiplied by that.
 * @param alpha [0, 1]; 1 is plain DPO
 */
export function desensitisedLogp({ shared, tail }: SplitLogp, alpha: number): number {
  return shared + alpha * tail;
}

/**
 * Splits token log-probabilities at the shared length.
 * @param logps [tokens], 0 where not scored
 * @param scored [tokens], 1 where a token belongs to the completion
 * @param sharedTokens scored tokens before the split
 */
export function splitLogp(
  logps: Float32Array,
  scored: Uint8Array,
  sharedTokens: number,
): SplitLogp {
  const tailStart = tailStartOf(scored, sharedTokens);
  let shared = 0;
  let tail = 0;
  for (const [i, logp] of logps.entries()) {
    if (i < tailStart) shared += logp;
    else tail += logp;
  }
  return { shared, tail };
}

/** Where the first scored token behind the shared ones stands; the sequence's length where there is none. */
export function tailStartOf(scored: Uint8Array, sharedTokens: number): number {
  let left = sharedTokens;
  for (const [i, bit] of scored.entries()) {
    if (bit !== 1) continue;
    if (left === 0) return i;
    left -= 1;
  }
  return scored.length;
}
