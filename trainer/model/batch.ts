/**
 * Sequences as a batch's inputs, and its outputs as sequences again. It knows no tensors.
 *
 * Two layouts of the same tokens: columns, where all layers but attention work, hold each token once, and the
 * beginning that two neighbours share (a pair's prompt) once for both; blocks, where attention works, hold each
 * sequence whole, padded at its end, where the causal mask hides the padding from real tokens.
 */
import type { BatchShape } from "./pass.ts";
import type { Sequence } from "./trainable.ts";

/** Products over tokens are fast for multiples of this. */
const STEP = 32;
/** Sizes are rounded up by at most about this share, so that graphs are shared and little is padded. */
const PADDING = 1 / 16;
/** Blocks' padding costs attention alone, so fewer graphs are worth more of it. */
const BLOCK_PADDING = 1 / 8;
/** A shared beginning's queries are left out of each second sequence in whole multiples of this: few graphs. */
const PREFIX_TOKENS = 64;
const PREFIX_PARTS = 8;

/** A batch as the graph's inputs want it; indices are of columns or of block cells [tokens · sequences]. */
export type PackedBatch = {
  readonly shape: BatchShape;
  /** Tokens that are there, what sequences share counted once; the rest of `shape.nColumns` is padding. */
  readonly realColumns: number;
  /** [columns], 0 where padded. */
  readonly tokens: Int32Array;
  /** [columns]: each token's place in its sequence. */
  readonly positions: Int32Array;
  /** [cells]: the column that each cell shows. */
  readonly cellColumns: Int32Array;
  /** [cells]: the same where the cell is its column's own, elsewhere a column without gradient. */
  readonly ownColumns: Int32Array;
  /** [columns]: each column's own cell. */
  readonly columnCells: Int32Array;
  /** [shared]: for the first columns the other cell that shows them, or a cell without gradient. */
  readonly sharedCells: Int32Array;
  /** [scored]: the column before each scored token. */
  readonly scoredColumns: Int32Array;
  /** [scored]: that column's own cell. */
  readonly scoredCells: Int32Array;
  /** [scored] */
  readonly labels: Int32Array;
};

/** Tokens that a batch of sequences of these lengths takes of `maxTokensPerBatch`: its blocks' cells. */
export function paddedTokens(lengths: readonly number[]): number {
  return lengths.length * bucket(Math.max(1, ...lengths), BLOCK_PADDING);
}

/** Columns of a batch: those that hold a token, what neighbours share counted once, and those that are computed. */
export function columnsOf(batch: readonly Sequence[]): { real: number; computed: number } {
  const total = batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const real = sharedPrefixes(batch).reduce((left, shared) => left - shared, total);
  return { real, computed: bucket(real, PADDING) };
}

/** The largest batch that fits: sequences of `maxTokens` that share nothing, with so many scored tokens each. */
export function fullBatch({
  maxTokens,
  maxTokensPerBatch,
  scoredTokens = maxTokens,
}: {
  readonly maxTokens: number;
  readonly maxTokensPerBatch: number;
  readonly scoredTokens?: number;
}): BatchShape {
  const nTokens = bucket(maxTokens, BLOCK_PADDING);
  const nSequences = Math.max(1, Math.floor(maxTokensPerBatch / nTokens));
  const nColumns = bucket(nSequences * maxTokens, PADDING);
  const nScored = bucket(nSequences * scoredTokens, PADDING);
  return { nSequences, nTokens, nColumns, nShared: 0, nPrefix: 0, nScored };
}

/**
 * Lays sequences out.
 * @throws RangeError where a sequence is malformed
 */
export function packBatch(batch: readonly Sequence[], nVocab: number): PackedBatch {
  for (const sequence of batch) checkSequence(sequence, nVocab);
  const shared = sharedPrefixes(batch);
  const nTokens = bucket(Math.max(...batch.map(({ tokens }) => tokens.length)), BLOCK_PADDING);
  const columns = placeColumns(batch, shared);
  const cells = cellsOf(batch, columns.starts, shared, nTokens);
  const scored = scoredCells(batch, nTokens);
  const columnCells = inverse(cells.ownColumns, columns.count);
  const scoredColumns = scored.cells.map((cell) => cells.cellColumns[cell] ?? 0);
  const nColumns = bucket(columns.count, PADDING);
  const shape = {
    nSequences: batch.length,
    nTokens,
    nColumns,
    nShared: Math.min(nColumns, columns.shared === 0 ? 0 : bucket(columns.shared, BLOCK_PADDING)),
    nPrefix: commonPrefix(shared, nTokens),
    nScored: bucket(Math.max(1, scored.labels.length), PADDING),
  };
  // Nothing follows a sequence's last token, so it has no gradient anywhere: padding may point there.
  const still = (batch[0]?.tokens.length ?? 0) - 1;
  const stillColumn = cells.cellColumns[still] ?? 0;
  return {
    shape,
    realColumns: columns.count,
    tokens: fill(columns.tokens, nColumns, 0),
    positions: fill(columns.positions, nColumns, 0),
    cellColumns: cells.cellColumns.map((column) => (column < 0 ? stillColumn : column)),
    ownColumns: cells.ownColumns.map((column) => (column < 0 ? stillColumn : column)),
    columnCells: fill(columnCells, nColumns, still),
    sharedCells: fill(inverse(cells.otherColumns, columns.shared), shape.nShared, still),
    scoredColumns: fill(scoredColumns, shape.nScored, stillColumn),
    scoredCells: fill(
      scoredColumns.map((column) => columnCells[column] ?? 0),
      shape.nScored,
      still,
    ),
    labels: fill(scored.labels, shape.nScored, 0),
  };
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

/**
 * How many leading tokens each sequence takes over from the one before; pairs only, so that a column is shown
 * twice at most, and never a sequence's last token.
 */
function sharedPrefixes(batch: readonly Sequence[]): number[] {
  const shared = batch.map(() => 0);
  for (let index = 1; index < batch.length; index++) {
    const [before, here] = [batch[index - 1], batch[index]];
    if (before === undefined || here === undefined || shared[index - 1] !== 0) continue;
    const most = Math.min(before.tokens.length, here.tokens.length) - 1;
    let length = 0;
    while (length < most && before.tokens[length] === here.tokens[length]) length++;
    shared[index] = length;
  }
  return shared;
}

/** Tokens that each second sequence takes over at least, rounded down so that graphs are shared. */
function commonPrefix(shared: readonly number[], nTokens: number): number {
  if (shared.length % 2 !== 0) return 0;
  const least = Math.min(...shared.filter((_, index) => index % 2 === 1));
  const step = Math.ceil(nTokens / PREFIX_PARTS / PREFIX_TOKENS) * PREFIX_TOKENS;
  return Math.floor(least / step) * step;
}

/** Tokens and positions by column: what is shared first, then each sequence's own. */
function placeColumns(batch: readonly Sequence[], shared: readonly number[]) {
  const tokens: number[] = [];
  const positions: number[] = [];
  const place = (sequence: Sequence, from: number, to: number): number => {
    const start = tokens.length;
    for (let i = from; i < to; i++) {
      tokens.push(sequence.tokens[i] ?? 0);
      positions.push(i);
    }
    return start;
  };
  const prefixes = batch.map((sequence, i) => place(sequence, 0, shared[i + 1] ?? 0));
  const sharedCount = tokens.length;
  const starts = batch.map((sequence, i) => {
    const taken = shared[i] ?? 0;
    const given = shared[i + 1] ?? 0;
    const own = place(sequence, Math.max(taken, given), sequence.tokens.length);
    return { prefix: prefixes[taken > 0 ? i - 1 : i] ?? 0, length: Math.max(taken, given), own };
  });
  return { tokens, positions, starts, shared: sharedCount, count: tokens.length };
}

/** Each cell's column: shown, its own, and that of a column shown a second time; −1 where there is none. */
function cellsOf(
  batch: readonly Sequence[],
  starts: readonly { prefix: number; length: number; own: number }[],
  shared: readonly number[],
  nTokens: number,
) {
  const cellColumns = new Int32Array(nTokens * batch.length).fill(-1);
  const ownColumns = cellColumns.slice();
  const otherColumns = cellColumns.slice();
  for (const [index, { tokens }] of batch.entries()) {
    const start = starts[index];
    if (start === undefined) continue;
    for (let i = 0; i < tokens.length; i++) {
      const cell = index * nTokens + i;
      const column = i < start.length ? start.prefix + i : start.own + i - start.length;
      cellColumns[cell] = column;
      (i < (shared[index] ?? 0) ? otherColumns : ownColumns)[cell] = column;
    }
  }
  return { cellColumns, ownColumns, otherColumns };
}

/** For each of `count` columns the cell that names it. */
function inverse(cells: Int32Array, count: number): Int32Array {
  const inverted = new Int32Array(count);
  for (const [cell, column] of cells.entries()) if (column >= 0) inverted[column] = cell;
  return inverted;
}

function scoredCells(batch: readonly Sequence[], nTokens: number) {
  const cells: number[] = [];
  const labels: number[] = [];
  for (const [index, { tokens, scored }] of batch.entries()) {
    for (const [i, label] of tokens.entries()) {
      if (scored[i] !== 1) continue;
      cells.push(index * nTokens + i - 1);
      labels.push(label);
    }
  }
  return { cells, labels };
}

function fill(values: ArrayLike<number>, length: number, padding: number): Int32Array {
  const filled = new Int32Array(length).fill(padding);
  filled.set(values);
  return filled;
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

/** Rounded up to a multiple of 32 that adds at most about `share`. */
function bucket(count: number, share: number): number {
  const step = 2 ** Math.floor(Math.log2(Math.max(1, (count * share) / STEP)));
  return roundUp(count, STEP * step);
}

function roundUp(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}
