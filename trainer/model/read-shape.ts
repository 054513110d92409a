/**
 * What a llama-architecture GGUF must be for the trainer: sizes from its metadata, every tensor in its place.
 * It reads no tensor data.
 */
import { CodedError } from "#engine/base/errors.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { GgufFile, GgufTensor } from "#engine/native/gguf.ts";
import { type LlamaShape, llamaTensors } from "../gguf/llama-shape.ts";

const ARCHITECTURE = "llama";
const WEIGHT_TYPES = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_K", "q6_K"] as const;
const SUPPORTED: ReadonlySet<number> = new Set(WEIGHT_TYPES.map((type) => GGML_TYPE[type]));
/** Frequency divisors of long-context models; the one tensor that may be there beside the usual. */
const ROPE_FREQUENCIES = "rope_freqs.weight";

/**
 * Reads the sizes and checks that the trainer can compute with this file.
 * @throws CodedError `model_invalid` saying what was expected and what was found
 */
export function readLlamaShape(file: GgufFile): LlamaShape {
  const architecture = file.string("general.architecture");
  if (architecture !== ARCHITECTURE) {
    throw unsupported(file, `the architecture ${ARCHITECTURE}`, architecture);
  }
  refuseVariants(file);
  const shape = sizes(file);
  checkSizes(file, shape);
  checkTensors(file, shape);
  return shape;
}

/** The frequency divisors, where the file has them. */
export function ropeFrequencies(file: Pick<GgufFile, "tensor">): GgufTensor | undefined {
  return file.tensor(ROPE_FREQUENCIES);
}

function sizes(file: GgufFile): LlamaShape {
  const nHead = file.number("llama.attention.head_count");
  const nEmbd = file.number("llama.embedding_length");
  const embedding = file.tensor("token_embd.weight");
  return {
    nLayer: file.number("llama.block_count"),
    nEmbd,
    nHead,
    nHeadKv: file.numberOr("llama.attention.head_count_kv", nHead),
    headDim: file.numberOr("llama.attention.key_length", nEmbd / nHead),
    nFf: file.number("llama.feed_forward_length"),
    nVocab: embedding?.ne[1] ?? 0,
    ropeTheta: file.numberOr("llama.rope.freq_base", 10_000),
    rmsEps: file.number("llama.attention.layer_norm_rms_epsilon"),
    tied: file.tensor("output.weight") === undefined,
    contextTokens: file.number("llama.context_length"),
  };
}

function refuseVariants(file: GgufFile): void {
  const experts = file.numberOr("llama.expert_count", 0);
  if (experts !== 0) throw unsupported(file, "a dense model", `${experts} experts`);
  const scaling = file.value("llama.rope.scaling.type") ?? "none";
  if (scaling !== "none") throw unsupported(file, "rope scaling none", String(scaling));
  const linear = file.numberOr("llama.rope.scale_linear", 1);
  if (linear !== 1) throw unsupported(file, "rope scaling none", `a linear scale of ${linear}`);
}

function checkSizes(file: GgufFile, shape: LlamaShape): void {
  const counts = [
    shape.nLayer,
    shape.nEmbd,
    shape.nHead,
    shape.nHeadKv,
    shape.headDim,
    shape.nFf,
    shape.nVocab,
  ];
  if (!counts.every((count) => Number.isInteger(count) && count > 0)) {
    throw unsupported(file, "whole sizes above 0", JSON.stringify(shape));
  }
  if (shape.nHead % shape.nHeadKv !== 0) {
    const found = `${shape.nHead} and ${shape.nHeadKv}`;
    throw unsupported(file, "query heads in a multiple of key heads", found);
  }
  if (shape.headDim % 2 !== 0) throw unsupported(file, "an even head size", `${shape.headDim}`);
  for (const key of ["llama.rope.dimension_count", "llama.attention.value_length"]) {
    const size = file.numberOr(key, shape.headDim);
    if (size !== shape.headDim) {
      throw unsupported(file, `${key} equal to the head size ${shape.headDim}`, `${size}`);
    }
  }
}

function checkTensors(file: GgufFile, shape: LlamaShape): void {
  const expected = new Map(llamaTensors(shape).map(({ name, ne }) => [name, ne]));
  for (const [name, ne] of expected) {
    const tensor = file.tensor(name);
    if (tensor === undefined) throw unsupported(file, `a tensor ${name}`, "none");
    const trimmed = ne.filter((count, i) => i === 0 || count !== 1);
    if (tensor.ne.join() !== trimmed.join()) {
      throw unsupported(file, `${name} of [${ne.join(", ")}]`, `[${tensor.ne.join(", ")}]`);
    }
    if (!SUPPORTED.has(tensor.type)) {
      const wanted = `${name} in one of ${WEIGHT_TYPES.join(", ")}`;
      throw unsupported(file, wanted, `ggml type ${tensor.type}`);
    }
  }
  const stranger = file.tensors.find(
    ({ name }) => !expected.has(name) && name !== ROPE_FREQUENCIES,
  );
  if (stranger !== undefined) throw unsupported(file, "no further tensors", stranger.name);
}

function unsupported(file: GgufFile, expected: string, found: string): CodedError {
  return new CodedError(
    `The trainer expected ${expected} in ${file.path}, found ${found}. Train on a plain llama-architecture model (Llama, Mistral, Zephyr).`,
    { code: "model_invalid" },
  );
}
