/** Sequences as a padded batch's inputs, and its outputs as sequences again. It knows no tensors. */
import type { BatchShape } from "./pass.ts";
import type { Sequence } from "./trainable.ts";

/** Lengths are padded to a multiple of this, for ggml's fast products; graphs are shared by equal lengths. */
const TOKEN_STEP = 32;
const SCORED_STEP = 64;
/** From here on scored counts are padded more coarsely, so that fewer graphs serve more batches. */
const MANY_SCORED = 512;
const MANY_SCORED_STEP = 256;

/** A batch as the graph's inputs want it. */
export type PackedBatch = {
  readonly shape: BatchShape;
  /** [tokens · batch], 0 where padded. */
  readonly tokens: Int32Array;
  /** [scored]: the column before each scored token, 0 where padded. */
  readonly rows: Int32Array;
  /** [scored] */
  readonly labels: Int32Array;
};

/** Tokens that a batch of sequences of these lengths takes of `maxTokensPerBatch`. */
export function paddedTokens(lengths: readonly number[]): number {
  return lengths.length * roundUp(Math.max(1, ...lengths), TOKEN_STEP);
}

/**
 * Pads and concatenates sequences.
 * @throws RangeError where a sequence is malformed
 */
export function packBatch(batch: readonly Sequence[], nVocab: number): PackedBatch {
  for (const sequence of batch) checkSequence(sequence, nVocab);
  const nTokens = roundUp(Math.max(...batch.map(({ tokens }) => tokens.length)), TOKEN_STEP);
  const cells = batch.flatMap((sequence, index) => scoredCells(sequence, index * nTokens));
  const step = cells.length > MANY_SCORED ? MANY_SCORED_STEP : SCORED_STEP;
  const nScored = Math.max(SCORED_STEP, roundUp(cells.length, step));
  const tokens = new Int32Array(nTokens * batch.length);
  for (const [index, sequence] of batch.entries()) tokens.set(sequence.tokens, index * nTokens);
  const rows = new Int32Array(nScored);
  const labels = new Int32Array(nScored);
  for (const [index, cell] of cells.entries()) {
    rows[index] = cell.row;
    labels[index] = cell.label;
  }
  return { shape: { nBatch: batch.length, nTokens, nScored }, tokens, rows, labels };
}

/** The graph's list of scored values, [scored], as one list for each sequence, 0 where not scored. */
export function unpackScored(batch: readonly Sequence[], values: Float32Array): Float32Array[] {
  let next = 0;
  return batch.map(({ tokens, scored }) =>
    Float32Array.from(tokens, (_, i) => (scored[i] === 1 ? (values[next++] ?? Number.NaN) : 0)),
  );
}

/**
 * One list for each sequence as the graph's list, [scored], zero where padded.
 * @throws RangeError where a list has another length than its sequence
 */
export function packScored(
  batch: readonly Sequence[],
  lists: readonly Float32Array[],
  nScored: number,
): Float32Array {
  const packed = new Float32Array(nScored);
  let next = 0;
  for (const [index, { tokens, scored }] of batch.entries()) {
    const list = lists[index];
    if (list === undefined || list.length !== tokens.length) {
      throw new RangeError(`expected ${tokens.length} weights for sequence ${index}`);
    }
    for (const [i, weight] of list.entries()) if (scored[i] === 1) packed[next++] = weight;
  }
  return packed;
}

function scoredCells({ tokens, scored }: Sequence, start: number) {
  const cells: { row: number; label: number }[] = [];
  for (const [i, label] of tokens.entries()) {
    if (scored[i] === 1) cells.push({ row: start + i - 1, label });
  }
  return cells;
}

function checkSequence({ tokens, scored }: Sequence, nVocab: number): void {
  if (tokens.length === 0) throw new RangeError("expected a sequence of at least one token");
  if (scored.length !== tokens.length) {
    throw new RangeError(`expected ${tokens.length} flags of scored tokens, got ${scored.length}`);
  }
  if (scored[0] !== 0)
    throw new RangeError("the first token cannot be scored: nothing precedes it");
  const stray = tokens.find((token) => token < 0 || token >= nVocab);
  if (stray !== undefined) throw new RangeError(`token ${stray} is not in 0..${nVocab - 1}`);
}

function roundUp(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}
