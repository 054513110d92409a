/** Reads a LoRA adapter's GGUF as pairs of matrices. It does not know what they are applied to. */
import { CodedError, isCoded } from "#engine/base/errors.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile, type GgufTensor } from "#engine/native/gguf.ts";
import type { NativeLibraries } from "#engine/native/library.ts";

/** One layer's two matrices, read when they are asked for. */
type LoraPair = {
  readonly rank: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Row-major [rank, inputs]. */
  readonly readA: () => Float32Array;
  /** Row-major [outputs, rank]. */
  readonly readB: () => Float32Array;
};

/** An open adapter. */
export type OpenLora = Disposable & {
  readonly alpha: number;
  /** `general.architecture` of the model that it is for. */
  readonly architecture: string;
  /** By the name of the base model's tensor. */
  readonly pairs: ReadonlyMap<string, LoraPair>;
};

/**
 * Opens an adapter.
 * @throws CodedError `adapter_corrupt` when it is no LoRA adapter in F32, F16 or BF16 with both matrices of each
 *   pair
 */
export function openLora(path: string, libraries: NativeLibraries): OpenLora {
  const file = openAsAdapter(path, libraries);
  try {
    if (file.value("adapter.type") !== "lora") throw corrupt(path, "it is no LoRA adapter");
    const alpha = file.value("adapter.lora.alpha");
    if (typeof alpha !== "number" || !Number.isFinite(alpha) || alpha === 0) {
      throw corrupt(path, `its alpha is ${alpha}`);
    }
    const pairs = new Map<string, LoraPair>();
    for (const { name } of file.tensors) {
      const stem = /^(.+)\.lora_[ab]$/.exec(name)?.[1];
      if (stem === undefined) throw corrupt(path, `${name} is no LoRA matrix`);
      if (!pairs.has(stem)) pairs.set(stem, pairOf(file, stem));
    }
    if (pairs.size === 0) throw corrupt(path, "it holds no matrices");
    const architecture = String(file.value("general.architecture"));
    return { alpha, architecture, pairs, [Symbol.dispose]: () => file[Symbol.dispose]() };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

function openAsAdapter(path: string, libraries: NativeLibraries): GgufFile {
  try {
    return GgufFile.open(path, libraries);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw corrupt(path, error.message, error);
  }
}

function pairOf(file: GgufFile, stem: string): LoraPair {
  const a = file.tensor(`${stem}.lora_a`);
  const b = file.tensor(`${stem}.lora_b`);
  if (a === undefined || b === undefined) {
    throw corrupt(file.path, `one matrix of ${stem} is missing`);
  }
  // A rank of 1 may come with that dimension dropped.
  const [inputs = 1, rank = 1] = a.ne;
  const [bRank = 1, outputs = 1] = b.ne;
  if (a.ne.length > 2 || b.ne.length > 2 || rank !== bRank) {
    throw corrupt(file.path, `ranks of ${stem} disagree: [${a.ne}] and [${b.ne}]`);
  }
  return {
    rank,
    inputs,
    outputs,
    readA: () => floatsOf(file, a),
    readB: () => floatsOf(file, b),
  };
}

function floatsOf(file: GgufFile, tensor: GgufTensor): Float32Array {
  const { buffer, byteOffset, byteLength } = file.readTensor(tensor);
  const values = toFloats({ buffer, byteOffset, byteLength }, tensor.type);
  if (values?.every(Number.isFinite)) return values;
  const why =
    values === undefined ? "is not F32, F16 or BF16" : "holds numbers that are not finite";
  throw corrupt(file.path, `${tensor.name} ${why}`);
}

type Bytes = Pick<Uint8Array, "buffer" | "byteOffset" | "byteLength">;

function toFloats(
  { buffer, byteOffset, byteLength }: Bytes,
  type: number,
): Float32Array | undefined {
  if (type === GGML_TYPE.f32) return new Float32Array(buffer, byteOffset, byteLength / 4);
  if (type === GGML_TYPE.f16) {
    return Float32Array.from(new Float16Array(buffer, byteOffset, byteLength / 2));
  }
  if (type !== GGML_TYPE.bf16) return undefined;
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

function corrupt(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError(`${path} is not a usable adapter: ${why}. Train it again.`, {
    code: "adapter_corrupt",
    cause,
  });
}
