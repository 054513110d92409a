/**
 * A published adapter as a `Trainable` sees it: its rank, its layers and its matrices, read from the
 * GGUF that serves. It knows nothing of what they were trained on.
 */
import { CodedError } from "#engine/base/errors.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { GgufFile, type GgufTensor } from "#engine/native/gguf.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import type { LoraOptions, LoraTarget, Trainable } from "../model/trainable.ts";

/** ggml's names of the layers that an adapter can sit on. */
const TARGETS: Readonly<Record<string, LoraTarget>> = {
  attn_q: "q",
  attn_k: "k",
  attn_v: "v",
  attn_output: "o",
  ffn_gate: "gate",
  ffn_up: "up",
  ffn_down: "down",
};

/**
 * Rank, scale and layers of an adapter's file.
 * @throws CodedError `adapter_incompatible` when the trainer cannot compute with it
 */
export function readLoraOptions(path: string, libraries: NativeLibraries): LoraOptions {
  using file = GgufFile.open(path, libraries);
  const alpha = file.number("adapter.lora.alpha");
  const ranks = new Set<number>();
  const targets = new Set<LoraTarget>();
  const layers = new Set<number>();
  for (const { name, ne, type } of file.tensors) {
    const [, layer = "", tensor = ""] = /^blk\.(\d+)\.(\w+)\.weight\.lora_[ab]$/.exec(name) ?? [];
    const target = TARGETS[tensor];
    if (target === undefined || type !== GGML_TYPE.f32) throw incompatible(path, name);
    targets.add(target);
    layers.add(Number(layer));
    if (name.endsWith(".lora_a")) ranks.add(ne[1] ?? 0);
  }
  const [rank] = ranks;
  if (rank === undefined || ranks.size > 1) throw incompatible(path, "of differing ranks");
  return { rank, alpha, targets: [...targets], layers: [...layers], seed: 0 };
}

/**
 * Puts an adapter's matrices into a model opened with its `readLoraOptions`; layers that it lacks
 * keep B = 0, which is no change.
 */
export function loadLora(
  model: Pick<Trainable, "parameters" | "writeParameter">,
  path: string,
  libraries: NativeLibraries,
): void {
  using file = GgufFile.open(path, libraries);
  const sizes = new Map(model.parameters().map(({ name, ne }) => [name, ne.join()]));
  for (const tensor of file.tensors) {
    if (sizes.get(tensor.name) !== tensor.ne.join()) throw incompatible(path, tensor.name);
    model.writeParameter(tensor.name, floatsOf(file, tensor));
  }
}

function floatsOf(file: GgufFile, tensor: GgufTensor): Float32Array {
  const bytes = file.readTensor(tensor);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function incompatible(path: string, what: string): CodedError {
  return new CodedError(
    `Expected F32 LoRA matrices of one rank on the layers of the base model in ${path}, found ${what}. Train an adapter on this base.`,
    { code: "adapter_incompatible" },
  );
}
