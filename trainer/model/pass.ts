/**
 * What all layers of one graph share: its operators, its inputs, the working precision, and the two products
 * of a backward pass. It knows no layer.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { Graph } from "../ggml/graph.ts";
import type { Operators } from "../ggml/operators.ts";
import type { RopeOptions } from "../ggml/rope-options.ts";
import { isFloat, type Tensor } from "../ggml/tensor.ts";
import type { LlamaShape } from "../gguf/llama-shape.ts";
import type { Linear } from "./weights.ts";

/** A batch's padded sizes; one graph serves all batches of the same. See batch.ts for columns and cells. */
export type BatchShape = {
  readonly nSequences: number;
  /** Tokens a sequence: a block's cells. */
  readonly nTokens: number;
  /** Tokens in all, those that two sequences share counted once. */
  readonly nColumns: number;
  /** The first so many columns may be shown by two sequences. */
  readonly nShared: number;
  /** Each second sequence takes at least so many first tokens over from the one before: their queries go once. */
  readonly nPrefix: number;
  /** Scored tokens in all. */
  readonly nScored: number;
};

/** Queries `from` up to `to`, which see keys 0 up to `to`. */
export type Span = {
  readonly from: number;
  readonly to: number;
  /** Of all sequences (1), or of each second one from the first on (2). */
  readonly every: 1 | 2;
};

const SPAN_TOKENS = 64;
const MAX_SPANS = 6;
/** Products over keys are fast for multiples of this. */
const SPAN_STEP = 32;
/** ggml-vulkan's `mul_mat_vec_max_cols`. */
const VULKAN_VECTORS = 8;

/**
 * Splits the queries of a sequence, so that attention skips most of the keys that the mask hides, and the queries
 * that a sequence shares with the one before. The last span is of all sequences and sees all keys.
 */
export function attentionSpans({
  nTokens,
  nPrefix,
}: Pick<BatchShape, "nTokens" | "nPrefix">): readonly Span[] {
  const least = Math.max(SPAN_TOKENS, nTokens / MAX_SPANS);
  const length = Math.ceil(least / SPAN_STEP) * SPAN_STEP;
  const cut = (start: number, end: number, every: 1 | 2): Span[] =>
    Array.from({ length: Math.ceil((end - start) / length) }, (_, i) => ({
      from: start + i * length,
      to: Math.min(start + (i + 1) * length, end),
      every,
    }));
  return [...cut(0, nPrefix, 2), ...cut(nPrefix, nTokens, 1)];
}

/** The inputs that the caller fills before each run; all are I32 but for those that say otherwise. */
export type PassInputs = {
  /** [columns] */
  readonly tokens: Tensor;
  /** [columns] */
  readonly positions: Tensor;
  /** [cells]: the column that each cell shows. */
  readonly cellColumns: Tensor;
  /** [cells]: the same for columns' own cells, elsewhere a column without gradient. */
  readonly ownColumns: Tensor;
  /** [columns]: each column's own cell. */
  readonly columnCells: Tensor;
  /** [shared]: the first columns' other cells; undefined where nothing is shared. */
  readonly sharedCells: Tensor | undefined;
  /** [scored]: the columns whose next token is scored. */
  readonly scoredColumns: Tensor;
  /** [scored]: those columns' own cells. */
  readonly scoredCells: Tensor;
  /** [1, scored]: the scored tokens. */
  readonly labels: Tensor;
  /** [largest count of rows of a frozen matrix]: 0, 1, 2, …; undefined where transposes are stored. */
  readonly everyRow: Tensor | undefined;
  /** For each span F32 [to, (to − from) · group]: 0 where a query may look, −∞ elsewhere. */
  readonly masks: readonly Tensor[];
  /** F32 [1, columns or scored] of ones, to sum over tokens. */
  readonly ones: Tensor;
  /** F32 [1, scored]: minus d loss / d logp. */
  readonly weights: Tensor;
  /** F32 [1, scored]: the log-probabilities, an output. */
  readonly logps: Tensor;
  /** F32 [pool]: what adapters' inputs are multiplied by, see dropout.ts; undefined where nothing is dropped. */
  readonly dropout: Tensor | undefined;
};

/** One graph being built. */
export class Pass {
  readonly graph: Graph;
  readonly operators: Operators;
  readonly inputs: PassInputs;
  readonly batch: BatchShape;
  readonly shape: LlamaShape;
  readonly rope: RopeOptions;
  /** ggml type of products' operands: F32 or BF16. */
  readonly workType: number;
  /** Whether the graph is for the CPU, whose kernels want other shapes than a GPU's. */
  readonly isCpu: boolean;
  /** How attention splits the queries; one mask each. */
  readonly spans: readonly Span[];
  /** Whether adapters are left out. */
  readonly reference: boolean;
  readonly #transposed = new Map<bigint, Tensor>();
  readonly #held = new Map<number, Tensor>();

  constructor(fields: {
    readonly graph: Graph;
    readonly inputs: PassInputs;
    readonly batch: BatchShape;
    readonly shape: LlamaShape;
    readonly rope: RopeOptions;
    readonly workType: number;
    readonly isCpu: boolean;
    readonly reference: boolean;
  }) {
    this.graph = fields.graph;
    this.operators = fields.graph.operators;
    this.inputs = fields.inputs;
    this.batch = fields.batch;
    this.shape = fields.shape;
    this.rope = fields.rope;
    this.workType = fields.workType;
    this.isCpu = fields.isCpu;
    this.spans = attentionSpans(fields.batch);
    this.reference = fields.reference;
  }

  /** A gapless copy in the working type. */
  pack(x: Tensor): Tensor {
    return this.operators.cast(x, this.workType);
  }

  /** x in the working type: itself, or a copy. */
  working(x: Tensor): Tensor {
    return x.type === this.workType ? x : this.pack(x);
  }

  /** xᵀ in the working type; made once for each x, since several products want the same. */
  transposed(x: Tensor): Tensor {
    const known = this.#transposed.get(x.pointer);
    if (known !== undefined) return known;
    const made = this.pack(this.operators.transpose(x));
    this.#transposed.set(x.pointer, made);
    return made;
  }

  /**
   * Memory to put values side by side in, [length, tokens], the same at each call: what is put there last must have
   * been read, in the order of computation, before it is put there again.
   */
  sideBySide(length: number, tokens: number): Tensor {
    const { nColumns, nScored } = this.batch;
    const held =
      this.#held.get(length) ??
      this.graph.hold(GGML_TYPE.f32, [length, Math.max(nColumns, nScored)]);
    this.#held.set(length, held);
    return this.operators.slice(held, 1, 0, tokens);
  }

  /** Σ over tokens of a[m, t] b[n, t] = [m, n]: a weight's gradient, by transposes and a fast mul_mat. */
  contract(a: Tensor, b: Tensor): Tensor {
    const { operators } = this;
    // Vulkan takes so few columns for vectors, says that it multiplies them in BF16, and then ends the process.
    const right =
      b.ne[0] <= VULKAN_VECTORS ? operators.cont(operators.transpose(b)) : this.transposed(b);
    return operators.mulMat(this.transposed(a), right);
  }

  /**
   * Wᵀ [out, in] to multiply gradients by: the stored one, or made now, by GET_ROWS where W is quantised (what
   * backends copy a quantised matrix by). The caller expands what comes before and after, so that few are held.
   */
  turned({ forward, backward }: Linear): Tensor {
    if (backward !== undefined) return backward;
    const { operators, inputs } = this;
    if (isFloat(forward.type)) return operators.cast(operators.transpose(forward), this.workType);
    if (inputs.everyRow === undefined) throw new Error("the graph has no list of rows");
    const rows = operators.slice(inputs.everyRow, 0, 0, forward.ne[1]);
    return operators.cast(operators.transpose(operators.getRows(forward, rows)), this.workType);
  }

  /** Adds to a gradient accumulator, now in the order of computation. */
  accumulate(gradient: Tensor, addition: Tensor): void {
    this.graph.expand(this.operators.addInto(gradient, addition));
  }
}
