/**
 * Writes whole llama-architecture models: from nothing (shape and tokenizer), or in the likeness of
 * another file whose metadata and untouched tensors are taken over. It does not know where weights come from.
 */
import { bindGgml, GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import type { NativeLibraries } from "#engine/native/library.ts";

import { encodeTensor, fitsRows, type WeightType } from "./encode.ts";
import type { LlamaShape } from "./llama-shape.ts";
import { setTokenizer, type TokenTable } from "./tokenizer-metadata.ts";

/** Everything in a new model's file but its tensors. */
type ModelHeader = {
  /** For people: `general.name` */
  readonly name: string;
  readonly shape: LlamaShape;
  readonly tokens: TokenTable;
  readonly chatTemplate: string;
};

/** One tensor's values, asked for when they are written. */
type ModelTensor = {
  readonly name: string;
  /** ggml's order: row length first */
  readonly ne: readonly number[];
  readonly values: () => Float32Array;
};

/** What to write. */
export type ModelFileOptions = {
  readonly libraries: NativeLibraries;
  /** A header for a new model, or a GGUF file to take metadata and remaining tensors from. */
  readonly from: ModelHeader | string;
  readonly tensors: readonly ModelTensor[];
  /** For matrices; vectors stay F32, and rows that do not divide into its blocks become F16. */
  readonly type: WeightType;
};

/** llama.h, enum llama_ftype: what `general.file_type` says of most tensors */
export const FILE_TYPE: Readonly<Record<WeightType, number>> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q8_0: 7,
  q5_0: 8,
  q2_K: 10,
  q3_K: 12,
  q4_K: 15,
  q5_K: 17,
  q6_K: 18,
  bf16: 32,
};
/** ggml.h, GGML_QNT_VERSION */
export const QUANTIZATION_VERSION = 2;

/**
 * Writes a model that libllama loads.
 * @returns sha256 (hex) and size of the file
 * @throws CodedError `model_invalid`, `model_missing` about `from`; `disk_full`
 * @throws RangeError when a tensor's values are not finite or not as many as its shape says
 */
export function writeModelGguf(
  path: string,
  { libraries, from, tensors, type }: ModelFileOptions,
): { sha256: string; bytes: number } {
  const ggml = bindGgml(libraries);
  using writer = new GgufWriter(libraries);
  using source = typeof from === "string" ? GgufFile.open(from, libraries) : undefined;
  if (source !== undefined) writer.copyMetadata(source);
  else if (typeof from !== "string") setHeader(writer, from);
  writer
    .set("general.file_type", "u32", FILE_TYPE[type])
    .set("general.quantization_version", "u32", QUANTIZATION_VERSION);
  for (const tensor of tensors) addEncoded(writer, ggml, tensor, type);
  if (source !== undefined) addRemaining(writer, source, new Set(tensors.map(({ name }) => name)));
  return writer.write(path);
}

function addEncoded(writer: GgufWriter, ggml: Ggml, tensor: ModelTensor, wanted: WeightType): void {
  const type = tensorType(ggml, tensor.ne, wanted);
  writer.addTensor({
    name: tensor.name,
    ne: tensor.ne,
    type: GGML_TYPE[type],
    data: () => encodeTensor(ggml, type, tensor.values(), tensor.ne),
  });
}

function tensorType(ggml: Ggml, ne: readonly number[], wanted: WeightType): WeightType {
  if (ne.length === 1) return "f32";
  return fitsRows(ggml, wanted, ne[0] ?? 1) ? wanted : "f16";
}

function addRemaining(writer: GgufWriter, source: GgufFile, done: ReadonlySet<string>): void {
  for (const tensor of source.tensors) {
    if (done.has(tensor.name)) continue;
    writer.addTensor({ ...tensor, data: () => source.readTensor(tensor) });
  }
}

/** Keys of llama.cpp's gguf-py constants for the llama architecture. */
function setHeader(writer: GgufWriter, { name, shape, tokens, chatTemplate }: ModelHeader): void {
  writer
    .set("general.architecture", "str", "llama")
    .set("general.type", "str", "model")
    .set("general.name", "str", name)
    .set("llama.vocab_size", "u32", shape.nVocab)
    .set("llama.context_length", "u32", shape.contextTokens)
    .set("llama.embedding_length", "u32", shape.nEmbd)
    .set("llama.block_count", "u32", shape.nLayer)
    .set("llama.feed_forward_length", "u32", shape.nFf)
    .set("llama.attention.head_count", "u32", shape.nHead)
    .set("llama.attention.head_count_kv", "u32", shape.nHeadKv)
    .set("llama.attention.key_length", "u32", shape.headDim)
    .set("llama.attention.value_length", "u32", shape.headDim)
    .set("llama.attention.layer_norm_rms_epsilon", "f32", shape.rmsEps)
    .set("llama.rope.dimension_count", "u32", shape.headDim)
    .set("llama.rope.freq_base", "f32", shape.ropeTheta);
  setTokenizer(writer, tokens, chatTemplate);
}
