/**
 * Merges a LoRA adapter into its base: a whole model for programs that load no adapters. Matrices go a slab of
 * rows at a time, so that a 7B needs a few hundred megabytes.
 */
import { CodedError } from "#engine/base/errors.ts";
import { bindGgml, GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";
import { GgufFile, type GgufTensor } from "#engine/native/gguf.ts";
import { GgufWriter } from "#engine/native/gguf-writer.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { Device } from "../ggml/device.ts";
import { encodeTensor, fitsRows, WEIGHT_TYPES, type WeightType } from "./encode.ts";
import { denseRows } from "./matrix.ts";
import { FILE_TYPE, QUANTIZATION_VERSION } from "./model-file.ts";
import { type OpenLora, openLora } from "./read-lora.ts";

/** A type for all matrices, or `keep`: each stays in its own, and what has no adapter stays byte for byte. */
export type MergeType = WeightType | "keep";

/** What to merge. */
export type Merge = {
  readonly libraries: NativeLibraries;
  readonly basePath: string;
  readonly adapterPath: string;
  readonly outPath: string;
  readonly type: MergeType;
  readonly threads: number;
};

/** What came of it. */
export type Merged = {
  readonly sha256: string;
  readonly bytes: number;
  /** Matrices that an adapter was added to. */
  readonly merged: number;
  /**
   * ‖W + ΔW − written‖ / ‖ΔW‖ over all of these: how much of the adapter drowns in rounding. Above 1 the file
   * holds more rounding than adapter.
   */
  readonly roundingShare: number;
};

const SLAB_ELEMENTS = 2 ** 23;
/** Below about 6 bits a weight the output matrix stays finer, as llama.cpp's quantiser has it. */
const COARSE: readonly WeightType[] = ["q4_0", "q5_0", "q2_K", "q3_K", "q4_K", "q5_K"];
const OUTPUT_TYPE: WeightType = "q6_K";

/**
 * Writes base + adapter as one model.
 * @throws CodedError `model_invalid`, `model_missing`, `adapter_corrupt`, `adapter_incompatible`, `disk_full`,
 *   `out_of_memory`
 */
export function mergeLora(options: Merge): Merged {
  const { libraries, basePath, adapterPath, outPath, type, threads } = options;
  using base = GgufFile.open(basePath, libraries);
  using lora = openLora(adapterPath, libraries);
  checkFit(base, lora, adapterPath);
  using device = Device.open({ libraries, threads });
  const merging: Merging = {
    base,
    lora,
    device,
    ggml: bindGgml(libraries),
    rounding: 0,
    change: 0,
  };
  using writer = new GgufWriter(libraries);
  writer.copyMetadata(base).set("general.quantization_version", "u32", QUANTIZATION_VERSION);
  if (type !== "keep") writer.set("general.file_type", "u32", FILE_TYPE[type]);
  for (const tensor of base.tensors) {
    const target = targetOf(merging, tensor, type);
    writer.addTensor(
      target === undefined
        ? { ...tensor, data: () => base.readTensor(tensor) }
        : { ...tensor, type: GGML_TYPE[target], data: () => encodeMerged(merging, tensor, target) },
    );
  }
  const written = writer.write(outPath);
  const roundingShare = Math.sqrt(merging.rounding / merging.change);
  return { ...written, merged: lora.pairs.size, roundingShare };
}

type Merging = {
  readonly base: GgufFile;
  readonly lora: OpenLora;
  readonly device: Device;
  readonly ggml: Ggml;
  /** Σ of squares over what was written so far: what rounding changed, and what the adapter did. */
  rounding: number;
  change: number;
};

/** The type that a tensor is written in; undefined: byte for byte as it stands. */
function targetOf(
  { base, lora, ggml }: Merging,
  tensor: GgufTensor,
  wanted: MergeType,
): WeightType | undefined {
  const isAdapted = lora.pairs.has(tensor.name);
  const own = typeName(tensor.type);
  if (wanted === "keep" || tensor.ne.length === 1) {
    if (!isAdapted) return undefined;
    if (own !== undefined) return own;
    throw new CodedError(
      `${base.path}: ${tensor.name} is of ggml type ${tensor.type}, which cannot be written again. Choose a type for the merged file, such as q8_0.`,
      { code: "model_invalid" },
    );
  }
  const isOutput = tensor.name === outputName(base);
  const finer = isOutput && COARSE.includes(wanted) ? OUTPUT_TYPE : wanted;
  const target = [finer, "q8_0" as const].find((type) => fitsRows(ggml, type, tensor.ne[0] ?? 1));
  return !isAdapted && target === own ? undefined : (target ?? "f16");
}

/** The output matrix; of a tied model the embedding. */
function outputName(base: GgufFile): string {
  return base.tensor("output.weight") === undefined ? "token_embd.weight" : "output.weight";
}

function typeName(id: number): WeightType | undefined {
  return WEIGHT_TYPES.find((name) => GGML_TYPE[name] === id);
}

function encodeMerged(merging: Merging, tensor: GgufTensor, type: WeightType): Uint8Array {
  const { base, lora, ggml } = merging;
  const [inputs = 1, outputs = 1] = tensor.ne;
  const rowBytes = (id: number) => Number(ggml.ggml_row_size(id, inputs));
  const source = base.readTensor(tensor);
  const pair = lora.pairs.get(tensor.name);
  const a = pair?.readA();
  const b = pair?.readB();
  const encoded = new Uint8Array(rowBytes(GGML_TYPE[type]) * outputs);
  const slab = Math.max(1, Math.floor(SLAB_ELEMENTS / inputs));
  for (let from = 0; from < outputs; from += slab) {
    const rows = Math.min(slab, outputs - from);
    const ownBytes = rowBytes(tensor.type);
    const data = source.subarray(from * ownBytes, (from + rows) * ownBytes);
    const stored = { type: tensor.type, inputs, rows, data };
    const added = pair &&
      a &&
      b && {
        rank: pair.rank,
        a,
        b: b.subarray(from * pair.rank, (from + rows) * pair.rank),
        scale: lora.alpha / pair.rank,
      };
    const dense = denseRows(merging.device, stored, added);
    const bytes = encodeTensor(ggml, type, dense, [inputs, rows]);
    encoded.set(bytes, from * rowBytes(GGML_TYPE[type]));
    if (added === undefined) continue;
    const before = denseRows(merging.device, stored);
    const after = denseRows(merging.device, { type: GGML_TYPE[type], inputs, rows, data: bytes });
    merging.change += squaredDistance(dense, before);
    merging.rounding += squaredDistance(dense, after);
  }
  return encoded;
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? Number.NaN)) ** 2, 0);
}

function checkFit(base: GgufFile, lora: OpenLora, path: string): void {
  const architecture = base.string("general.architecture");
  if (lora.architecture !== architecture) {
    throw incompatible(path, `it is for ${lora.architecture}, the model is ${architecture}`);
  }
  for (const [name, { inputs, outputs }] of lora.pairs) {
    const tensor = base.tensor(name);
    if (tensor === undefined || name === "token_embd.weight") {
      throw incompatible(path, `the model has no layer ${name}`);
    }
    const [nIn = 1, nOut = 1] = tensor.ne;
    if (tensor.ne.length <= 2 && nIn === inputs && nOut === outputs) continue;
    throw incompatible(
      path,
      `${name} is [${tensor.ne}] in the model, [${inputs},${outputs}] in it`,
    );
  }
}

function incompatible(path: string, why: string): CodedError {
  return new CodedError(
    `${path} does not fit its base model: ${why}. Name the model that it was trained on (MODEL).`,
    { code: "adapter_incompatible" },
  );
}
