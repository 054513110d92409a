/**
 * A model's tensors on the device: what the layers read, and which of it is trained with which gradient.
 * It knows no computation.
 */
import type { Tensor } from "../ggml/tensor.ts";
import type { LlamaShape } from "../gguf/llama-shape.ts";

/** A low-rank addition to a linear layer. */
export type Adapter = {
  /** [in, rank] */
  readonly a: Tensor;
  /** [rank, out] */
  readonly b: Tensor;
  /** A in the working type: [in, rank]. */
  readonly forwardA: Tensor;
  /** Bᵀ in the working type: [out, rank]. */
  readonly backwardB: Tensor;
  readonly gradientA: Tensor;
  readonly gradientB: Tensor;
  /** See `loraScale`. */
  readonly scale: number;
  /** Counts the model's adapters from 0. */
  readonly index: number;
};

/** y = W x. */
export type Linear = {
  /** W as mul_mat reads it: [in, out]. */
  readonly forward: Tensor;
  /** Wᵀ stored: [out, in], so that dX is a mul_mat too; undefined where memory does not allow it, or it is joined. */
  readonly backward: Tensor | undefined;
  /** Accumulates dW [in, out]; undefined while W is frozen. */
  readonly gradient: Tensor | undefined;
  readonly adapter: Adapter | undefined;
};

/** What lets frozen layers that read the same input go as one. */
export type Joined = {
  /**
   * Wᵀ of each layer and then A of each adapter, side by side, then zeros up to a length that products are fast
   * for: [Σ out + ranks …, in] in the working type. One product gives the gradient of the input.
   */
  readonly backward: Tensor;
  /** A of each adapter, one after the other: [in, ranks] in the working type. */
  readonly forwardA: Tensor;
  /** All adapters' scale. */
  readonly scale: number;
};

/** Linear layers that read the same input. */
export type Siblings = {
  readonly members: readonly Linear[];
  /** Undefined where they go one by one; then each has its own `backward`, if memory allows it. */
  readonly joined: Joined | undefined;
};

/** RMSNorm's weight [d], F32. */
export type Norm = { readonly weight: Tensor; readonly gradient: Tensor | undefined };

/** One transformer block. */
export type Block = {
  /** q, k and v. */
  readonly qkv: Siblings;
  readonly o: Linear;
  /** gate and up. */
  readonly gateUp: Siblings;
  readonly down: Linear;
  readonly attnNorm: Norm;
  readonly ffnNorm: Norm;
  /** Of the last block only the scored tokens' columns are read. */
  readonly isLast: boolean;
  /** Nothing below is trained: this block needs no gradient of its input. */
  readonly isLowest: boolean;
};

/** All weights of a model. */
export type Weights = {
  readonly shape: LlamaShape;
  /** [d, vocabulary], any type. */
  readonly embedding: Tensor;
  /** F32 [d, vocabulary]; of a tied model also the head's. */
  readonly embeddingGradient: Tensor | undefined;
  readonly blocks: readonly Block[];
  readonly outputNorm: Norm;
  readonly head: Linear;
  readonly ropeFactors: Tensor | null;
};

/** A trained tensor with all that belongs to it, each F32 of the same sizes. */
export type Parameter = {
  readonly name: string;
  readonly value: Tensor;
  readonly gradient: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  /** Norms are vectors, all else matrices; weight decay applies to matrices. */
  readonly isMatrix: boolean;
  /** Copies to be refreshed whenever the value changes. */
  readonly copies: readonly ParameterCopy[];
};

/** A place where a parameter's values stand again, in that tensor's type. */
export type ParameterCopy = {
  readonly to: Tensor;
  /** Whether rows become columns there. */
  readonly turned: boolean;
  /** Where it begins: in columns if turned, otherwise in rows. */
  readonly from: number;
};
