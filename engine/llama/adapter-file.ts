/**
 * Checks an adapter's GGUF against its base model before libllama reads it, so that a wrong or damaged file is a
 * clear refusal and never an abort or NaN logits. It applies nothing.
 */
import { setImmediate } from "node:timers/promises";
import { CodedError, isCoded } from "../base/errors.ts";
import { GGML_TYPE } from "../native/ggml.ts";
import { GgufFile, type GgufTensor } from "../native/gguf.ts";
import type { NativeLibraries } from "../native/library.ts";

/** What an adapter must fit. */
export type BaseModel = {
  readonly architecture: string;
  /** ggml's ne order (input, output) of each weight, by tensor name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
};

const FLOAT_TYPES: ReadonlySet<number> = new Set([GGML_TYPE.f32, GGML_TYPE.f16, GGML_TYPE.bf16]);

/**
 * @throws CodedError `adapter_corrupt` when the file is no usable LoRA adapter,
 *   `adapter_incompatible` when it was made for another model
 */
export async function checkAdapterFile(
  path: string,
  base: BaseModel,
  libraries: NativeLibraries,
): Promise<void> {
  using file = openAdapter(path, libraries);
  checkMetadata(file, base);
  const pairs = pairUp(file);
  for (const [name, pair] of pairs) checkPair(path, name, pair, base);
  for (const tensor of file.tensors) {
    checkFinite(path, tensor, file.readTensor(tensor));
    // A 7B's adapter is hundreds of megabytes: let others run between tensors.
    await setImmediate();
  }
}

function openAdapter(path: string, libraries: NativeLibraries): GgufFile {
  try {
    return GgufFile.open(path, libraries);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw corrupt(path, error.message, error);
  }
}

function checkMetadata(file: GgufFile, base: BaseModel): void {
  if (file.value("general.type") !== "adapter" || file.value("adapter.type") !== "lora") {
    throw corrupt(file.path, "its metadata does not say that it is a LoRA adapter");
  }
  const architecture = file.value("general.architecture");
  if (architecture !== base.architecture) {
    throw incompatible(
      file.path,
      `it was made for the architecture ${JSON.stringify(architecture)}, the model's is "${base.architecture}"`,
    );
  }
  const alpha = file.value("adapter.lora.alpha");
  // libllama asserts the type: an integer there would end the process.
  if (typeof alpha !== "number" || file.typeOf("adapter.lora.alpha") !== "f32") {
    throw corrupt(file.path, "adapter.lora.alpha is not a 32-bit float");
  }
  if (!Number.isFinite(alpha)) throw corrupt(file.path, `adapter.lora.alpha is ${alpha}`);
  if (file.value("adapter.alora.invocation_tokens") !== undefined) {
    throw incompatible(file.path, "adapters that wait for invocation tokens are not supported");
  }
}

type Pair = { a?: GgufTensor; b?: GgufTensor };

function pairUp(file: GgufFile): ReadonlyMap<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const tensor of file.tensors) {
    const match = /^(.+)\.lora_([ab])$/.exec(tensor.name);
    const [, name, side] = match ?? [];
    if (name === undefined) throw corrupt(file.path, `its tensor ${tensor.name} is no LoRA factor`);
    const pair = pairs.get(name) ?? {};
    if (side === "a") pair.a = tensor;
    else pair.b = tensor;
    pairs.set(name, pair);
  }
  if (pairs.size === 0) throw corrupt(file.path, "it holds no tensors");
  return pairs;
}

function checkPair(path: string, name: string, { a, b }: Pair, base: BaseModel): void {
  if (a === undefined || b === undefined) throw corrupt(path, `one factor of ${name} is missing`);
  for (const { name: factor, type, ne } of [a, b]) {
    if (!FLOAT_TYPES.has(type)) throw corrupt(path, `${factor} is not F32, F16 or BF16`);
    if (ne.length > 2) throw corrupt(path, `${factor} is not a matrix`);
  }
  const shape = base.shapes.get(name);
  if (shape === undefined) throw incompatible(path, `the model has no weight ${name}`);
  if (name === "token_embd.weight") {
    throw incompatible(path, "adapters of the token embedding are not supported");
  }
  const [inputs = 1, outputs = 1] = shape;
  const [aInputs = 1, aRank = 1] = a.ne;
  const [bRank = 1, bOutputs = 1] = b.ne;
  if (aInputs !== inputs || bOutputs !== outputs || aRank !== bRank) {
    throw incompatible(
      path,
      `${name} is ${inputs}×${outputs} in the model, the factors are ${aInputs}×${aRank} and ${bRank}×${bOutputs}`,
    );
  }
}

/** NaN or infinite weights make NaN logits, on which llama.cpp's partial sort reads out of bounds. */
function checkFinite(path: string, tensor: GgufTensor, data: Uint8Array): void {
  const finite = tensor.type === GGML_TYPE.f32 ? finite32(data) : finite16(data, tensor.type);
  if (!finite) throw corrupt(path, `${tensor.name} holds numbers that are not finite`);
}

function finite32(data: Uint8Array): boolean {
  const exponent = 0x7f80_0000;
  const words = new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  return words.every((word) => (word & exponent) !== exponent);
}

function finite16(data: Uint8Array, type: number): boolean {
  const exponent = type === GGML_TYPE.f16 ? 0x7c00 : 0x7f80;
  const words = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  return words.every((word) => (word & exponent) !== exponent);
}

function corrupt(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError(
    `${path} is not a usable adapter: ${why}. Train it again, or activate another one.`,
    { code: "adapter_corrupt", cause },
  );
}

function incompatible(path: string, why: string): CodedError {
  return new CodedError(
    `${path} does not fit this model: ${why}. Train an adapter on the model that is served.`,
    { code: "adapter_incompatible" },
  );
}
