/** What the trainer's benchmark measures: shapes of models, types of their weights, and batches. */
import { LORA_TARGETS } from "#engine/base/config.ts";
import type { WeightType } from "#trainer/gguf/encode.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import type { LoraOptions } from "#trainer/model/trainable.ts";

/** One row of the table. */
export type Subject = {
  readonly name: string;
  readonly shape: LlamaShape;
  readonly weights: WeightType;
  readonly precision: "f32" | "bf16";
  readonly lora: LoraOptions | null;
  readonly pairs: number;
  /** Tokens of an answer's sequence; its first half is the prompt. */
  readonly tokens: number;
  /** Pairs' lengths vary down to half, as people's do. */
  readonly varied: boolean;
  /** Measured on a GPU only; elsewhere its memory is planned. */
  readonly needsGpu: boolean;
};

const LORA: LoraOptions = {
  rank: 16,
  alpha: 32,
  targets: LORA_TARGETS,
  seed: 1,
};
const COMMON = { ropeTheta: 10_000, rmsEps: 1e-5, contextTokens: 1024 };
/** The shipped model's. */
const NANO: LlamaShape = {
  ...COMMON,
  nLayer: 4,
  nEmbd: 256,
  nHead: 8,
  nHeadKv: 4,
  headDim: 32,
  nFf: 704,
  nVocab: 8192,
  tied: true,
};
const SIXTY: LlamaShape = {
  ...COMMON,
  nLayer: 8,
  nEmbd: 512,
  nHead: 8,
  nHeadKv: 4,
  headDim: 64,
  nFf: 1408,
  nVocab: 32_000,
  tied: false,
};
/** Mistral's, of which Zephyr is made. */
const SEVEN: LlamaShape = {
  ...COMMON,
  nLayer: 32,
  nEmbd: 4096,
  nHead: 32,
  nHeadKv: 8,
  headDim: 128,
  nFf: 14_336,
  nVocab: 32_000,
  tied: false,
};
const NANO_BATCH = { shape: NANO, pairs: 4, tokens: 256, varied: true, needsGpu: false };
const SIXTY_BATCH = { shape: SIXTY, pairs: 1, tokens: 512, varied: false, needsGpu: false };

/** All rows. */
export const SUBJECTS: readonly Subject[] = [
  {
    ...NANO_BATCH,
    name: "nano, all parameters",
    weights: "f32",
    precision: "bf16",
    lora: null,
  },
  { ...NANO_BATCH, name: "nano, LoRA, Q8_0", weights: "q8_0", precision: "f32", lora: LORA },
  { ...NANO_BATCH, name: "nano, LoRA, Q8_0", weights: "q8_0", precision: "bf16", lora: LORA },
  { ...SIXTY_BATCH, name: "60 M, LoRA, BF16", weights: "bf16", precision: "bf16", lora: LORA },
  { ...SIXTY_BATCH, name: "60 M, LoRA, F32", weights: "f32", precision: "f32", lora: LORA },
  { ...SIXTY_BATCH, name: "60 M, LoRA, Q8_0", weights: "q8_0", precision: "bf16", lora: LORA },
  { ...SIXTY_BATCH, name: "60 M, LoRA, Q4_0", weights: "q4_0", precision: "bf16", lora: LORA },
  {
    name: "7 G, LoRA, Q4_K",
    shape: SEVEN,
    weights: "q4_K",
    precision: "bf16",
    lora: LORA,
    pairs: 1,
    tokens: 1024,
    varied: false,
    needsGpu: true,
  },
];
