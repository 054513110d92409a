/** Log-probabilities from a row of logits. Pure; which text a token has is the caller's business. */

/** A token and its natural-logarithm probability under the model, before any sampling change. */
export type RankedToken = { readonly id: number; readonly logprob: number };

/** ln Σ exp(logit), the amount to subtract from a logit. Computed in double precision. */
export function logSumExp(logits: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > highest) highest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  return highest + Math.log(sum);
}

/**
 * The sampled token's log-probability and the `count` likeliest alternatives, likeliest first, lower ids first
 * among equals.
 * @param logits [vocabulary]
 */
export function rankTokens(
  logits: Float32Array,
  sampled: number,
  count: number,
): { readonly chosen: RankedToken; readonly top: readonly RankedToken[] } {
  const total = logSumExp(logits);
  const top: RankedToken[] = [];
  logits.forEach((logit, id) => {
    const logprob = logit - total;
    if (top.length === count && logprob <= (top.at(-1)?.logprob ?? Number.POSITIVE_INFINITY))
      return;
    const place = top.findIndex((other) => other.logprob < logprob);
    top.splice(place < 0 ? top.length : place, 0, { id, logprob });
    if (top.length > count) top.pop();
  });
  const logit = logits[sampled];
  if (logit === undefined) throw new RangeError(`token ${sampled} is not among the logits`);
  return { chosen: { id: sampled, logprob: logit - total }, top };
}
