/**
 * What the training runs know of a model: log-probabilities, gradients, steps, parameters by name.
 * How they are computed stands elsewhere; losses, schedules and files are not known here.
 */
import type { LORA_TARGETS } from "#engine/base/config.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import type { LlamaShape } from "../gguf/llama-shape.ts";

/**
 * Token ids, and which of them count: where `scored[i]` is 1, log p(tokens[i] | tokens[0..i−1]) does.
 * Both are [tokens]; `scored[0]` is 0, since nothing comes before the first.
 */
export type Sequence = { readonly tokens: Int32Array; readonly scored: Uint8Array };

/** The linear layers that an adapter can sit on, by the field's short names. */
export type LoraTarget = (typeof LORA_TARGETS)[number];

/** A low-rank adapter: W x + (alpha / rank) B A x (arXiv 2106.09685). */
export type LoraOptions = {
  readonly rank: number;
  readonly alpha: number;
  /** `rslora` divides alpha by √rank instead of rank (arXiv 2312.03732); `lora` where unset. */
  readonly scaling?: "lora" | "rslora";
  readonly targets: readonly LoraTarget[];
  /** The blocks that get adapters, from 0; all where unset. */
  readonly layers?: readonly number[];
  /** Chance that an entry of an adapter's input is dropped in training, [0, 1); 0 where unset. */
  readonly dropout?: number;
  /** Draws A; B begins at 0. */
  readonly seed: number;
};

/** The default of `activationBytes`. */
export const ACTIVATION_BYTES = 2 ** 31;

/** What to train, and with what. */
export type TrainableOptions = {
  readonly ggufPath: string;
  /** The adapter to train on a frozen model, or null to train every parameter. */
  readonly lora: LoraOptions | null;
  /** `bf16`: products in BF16 from F32 masters, about twice as fast; `f32`: all in F32, but on Vulkan (`workTypeOn`). */
  readonly precision: "f32" | "bf16";
  readonly threads: number;
  /** Whether to compute on the CPU although the build brings a GPU: to compare them. */
  readonly onCpu?: boolean;
  /** Bounds memory: a batch's sequences times their padded length stay below this. */
  readonly maxTokensPerBatch: number;
  /** Where a batch's values would take more bytes, blocks are computed twice instead; `ACTIVATION_BYTES`. */
  readonly activationBytes?: number;
  /**
   * Whether frozen matrices are also held transposed, 2 bytes a weight in BF16; otherwise each pass turns them
   * around. By default on the CPU, where turning is slow, and not on a GPU, where memory is short.
   */
  readonly keepsTransposes?: boolean;
  readonly libraries: NativeLibraries;
};

/** AdamW's figures for one step (arXiv 1711.05101). */
export type StepOptions = {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Applied to matrices, not to norms. */
  readonly weightDecay: number;
  /** Multiplies the gradients first: clipping, and the mean over accumulated batches. */
  readonly gradientScale: number;
};

/** A trainable tensor; `ne` in ggml's order. */
export type ParameterInfo = { readonly name: string; readonly ne: readonly number[] };

/** AdamW's first and second moments of one parameter. */
export type Moments = { readonly m: Float32Array; readonly v: Float32Array };

/** What has to be kept, beside the parameters, to go on exactly. */
export type OptimizerState = {
  /** Steps done. */
  readonly step: number;
  readonly moments: ReadonlyMap<string, Moments>;
};

/** How to score. */
export type ScoringOptions = {
  /** Leaves the adapter out (full-parameter models: the parameters as they are). */
  readonly reference?: boolean;
  /** Ends it within a node of the graph. */
  readonly signal?: AbortSignal | undefined;
};

/** A model whose parameters can be trained. */
export interface Trainable extends Disposable {
  readonly shape: LlamaShape;
  /** As it was opened; null where every parameter is trained. */
  readonly lora: LoraOptions | null;
  /**
   * Natural log-probabilities, [tokens] for each sequence, 0 where not scored. Any number of sequences. As with
   * `forwardBackward`, the event loop stays free; nothing else may be asked of the model meanwhile.
   * @throws the signal's reason
   */
  logps(batch: readonly Sequence[], options?: ScoringOptions): Promise<Float32Array[]>;
  /**
   * One forward and backward pass over a batch that fits `maxTokensPerBatch` (see `paddedTokens`); adds the
   * loss's gradient to the accumulators and returns the log-probabilities. With dropout what is dropped follows
   * from the adapter's seed, the optimiser's steps and the passes since the gradients were last zeroed.
   * @param weigh gives d loss / d logp for each token of each sequence, from the log-probabilities
   * @param signal ends the pass within a node of the graph; the accumulators are then void until they are zeroed
   * @throws the signal's reason
   */
  forwardBackward(
    batch: readonly Sequence[],
    weigh: (logps: Float32Array[]) => readonly Float32Array[],
    signal?: AbortSignal,
  ): Promise<Float32Array[]>;
  /** √Σ g² over all accumulated gradients, in natural units (not scaled). */
  gradientNorm(): number;
  /** Scales the gradients, updates by AdamW, and zeroes them. */
  step(options: StepOptions): void;
  zeroGradients(): void;
  /** LoRA: `blk.0.attn_q.weight.lora_a` [in, rank] and `.lora_b` [rank, out]; else the GGUF's tensors. */
  parameters(): readonly ParameterInfo[];
  readParameter(name: string): Float32Array;
  writeParameter(name: string, values: Float32Array): void;
  readGradient(name: string): Float32Array;
  readOptimizer(): OptimizerState;
  writeOptimizer(state: OptimizerState): void;
}
