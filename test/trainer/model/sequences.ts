/** Random sequences and adapters for tests of the model. */
import type { SeededRandom } from "#trainer/data/random.ts";
import type { Sequence, Trainable } from "#trainer/model/trainable.ts";

/** Sequences of these lengths with about 60% of the tokens scored, the last always. */
export function randomSequences(
  lengths: readonly number[],
  nVocab: number,
  random: SeededRandom,
): Sequence[] {
  return lengths.map((length) => ({
    tokens: Int32Array.from({ length }, () => random.below(nVocab)),
    scored: Uint8Array.from({ length }, (_, i) =>
      i > 0 && (i === length - 1 || random.uniform() < 0.6) ? 1 : 0,
    ),
  }));
}

/** Sequences two by two with the first `common` tokens of the first in both, as pairs have their prompt. */
export function sharePrompts(batch: readonly Sequence[], common: number): Sequence[] {
  return batch.map((sequence, index) => {
    const first = batch[index - (index % 2)] ?? sequence;
    const tokens = sequence.tokens.slice();
    tokens.set(first.tokens.subarray(0, Math.min(common, tokens.length)));
    return { ...sequence, tokens };
  });
}

/** Fixed random weights in [−1, 1) for a linear loss Σ c · logp, [tokens] for each sequence. */
export function randomWeights(batch: readonly Sequence[], random: SeededRandom): Float32Array[] {
  return batch.map(({ tokens }) => Float32Array.from(tokens, () => 2 * random.uniform() - 1));
}

/** Σ c · logp over all tokens, in doubles. */
export function weightedSum(
  logps: readonly Float32Array[],
  weights: readonly Float32Array[],
): number {
  let sum = 0;
  for (const [index, list] of logps.entries()) {
    for (const [i, logp] of list.entries()) sum += logp * (weights[index]?.[i] ?? 0);
  }
  return sum;
}

/** Makes every B of an adapter other than zero, so that A has a gradient and the adapter an effect. */
export function perturbAdapter(trainable: Trainable, random: SeededRandom, deviation = 0.1): void {
  for (const { name } of trainable.parameters()) {
    if (!name.endsWith(".lora_b")) continue;
    const drawn = trainable.readParameter(name).map(() => deviation * random.gaussian());
    trainable.writeParameter(name, drawn);
  }
}

/** The greatest |a − b| over all tokens. */
export function greatestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const gaps = a.flatMap((list, index) =>
    [...list].map((x, i) => Math.abs(x - (b[index]?.[i] ?? Number.NaN))),
  );
  return gaps.reduce((greatest, gap) => (gap <= greatest ? greatest : gap), 0);
}

/** The cosine of the angle between two lists of numbers. */
export function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** The length of a − b as a share of that of b. */
export function distance(a: Float32Array, b: Float32Array): number {
  const length = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return length(a.map((x, i) => x - (b[i] ?? Number.NaN))) / length(b);
}
