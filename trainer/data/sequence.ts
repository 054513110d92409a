/** Token sequences with a mask of what is learnt, as trainable models take them. Knows nothing of text. */

import type { Sequence } from "../model/trainable.ts";

/** One unit of data order: a dialogue's sequence, or a pair's two, which must share a batch. */
export type Example = {
  /** Named in messages when training on it fails. */
  readonly id: string;
  readonly sequences: readonly Sequence[];
  /** Share in the loss, above 0; 1 is usual. */
  readonly weight: number;
};

/** How many tokens of a sequence are scored. */
export function scoredTokens({ scored }: Sequence): number {
  let count = 0;
  for (const bit of scored) count += bit;
  return count;
}

/** A sequence whose tokens in [start, end) are scored; `start` is clamped to 1. */
export function scoredRange(tokens: Int32Array, start: number, end: number): Sequence {
  return { tokens, scored: new Uint8Array(tokens.length).fill(1, Math.max(1, start), end) };
}

/** log π(y|x): the sum of a sequence's token log-probabilities (0 where not scored). */
export function sequenceLogp(logps: Float32Array): number {
  let sum = 0;
  for (const logp of logps) sum += logp;
  return sum;
}

/** The longest sequence's tokens. */
export function longest(sequences: readonly Sequence[]): number {
  return sequences.reduce((most, { tokens }) => Math.max(most, tokens.length), 0);
}

/** Token lists end to end. */
export function concatTokens(...parts: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
