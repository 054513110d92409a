/**
 * Writes LoRA adapters as llama.cpp loads them (src/llama-adapter.cpp). It does not know how they were trained.
 */
import { bindGgml, GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { encodeTensor } from "./encode.ts";

/** Where an adapter's matrices come from; a `Trainable` with LoRA is one. */
export type LoraSource = {
  /**
   * Pairs named `<base tensor>.lora_a`, ne [inputs, rank], and `<base tensor>.lora_b`, ne [rank, outputs]:
   * the layer gives W x + alpha/rank · B (A x).
   */
  parameters(): readonly { readonly name: string; readonly ne: readonly number[] }[];
  readParameter(name: string): Float32Array;
};

/** What to write. */
export type LoraFileOptions = {
  readonly libraries: NativeLibraries;
  readonly trainable: LoraSource;
  /** Scale of the update, divided by the rank when applied. */
  readonly alpha: number;
  /** `general.architecture` of the base model; llama.cpp refuses an adapter for another one. */
  readonly baseArchitecture: string;
  /** For people: `general.name` */
  readonly name?: string;
  /** F32 keeps the trained numbers exactly; F16 halves the file. */
  readonly type?: "f32" | "f16";
};

/**
 * Writes the adapter.
 * @returns sha256 (hex) and size of the file
 * @throws CodedError `disk_full`
 * @throws RangeError when a matrix lacks its partner, ranks disagree, or a value is not finite
 */
export function writeLoraGguf(
  path: string,
  { libraries, trainable, alpha, baseArchitecture, name, type = "f32" }: LoraFileOptions,
): { sha256: string; bytes: number } {
  const parameters = trainable.parameters();
  assertPairs(parameters);
  const ggml = bindGgml(libraries);
  using writer = new GgufWriter(libraries);
  writer
    .set("general.architecture", "str", baseArchitecture)
    .set("general.type", "str", "adapter")
    .set("adapter.type", "str", "lora")
    .set("adapter.lora.alpha", "f32", alpha);
  if (name !== undefined) writer.set("general.name", "str", name);
  for (const parameter of parameters) {
    writer.addTensor({
      ...parameter,
      type: GGML_TYPE[type],
      data: () => encode(ggml, type, trainable, parameter),
    });
  }
  return writer.write(path);
}

type Parameter = ReturnType<LoraSource["parameters"]>[number];

function encode(
  ggml: Ggml,
  type: "f32" | "f16",
  source: LoraSource,
  { name, ne }: Parameter,
): Uint8Array {
  return encodeTensor(ggml, type, source.readParameter(name), ne);
}

function assertPairs(parameters: readonly Parameter[]): void {
  if (parameters.length === 0) throw new RangeError("there is no LoRA matrix to write");
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  for (const { name, ne } of parameters) {
    const base = name.replace(/\.lora_[ab]$/, "");
    if (base === name) throw new RangeError(`${name} is not a LoRA matrix`);
    const a = byName.get(`${base}.lora_a`);
    const b = byName.get(`${base}.lora_b`);
    if (a === undefined || b === undefined) throw new RangeError(`${name} lacks its partner`);
    // A rank of 1 may come with that dimension dropped.
    if (ne.length > 2 || (a.ne[1] ?? 1) !== b.ne[0]) {
      throw new RangeError(`ranks of ${base} disagree: [${a.ne}] and [${b.ne}]`);
    }
  }
}
