/** Writes LoRA adapters with random factors for a random model, large enough to change every answer. */
import type { NativeLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import { writeLoraGguf } from "#trainer/gguf/lora.ts";

/** An adapter of rank 4 on every query and output projection; same seed, same bytes. */
export function writeRandomAdapter(
  path: string,
  {
    libraries,
    shape,
    seed,
    baseArchitecture = "llama",
  }: {
    readonly libraries: NativeLibraries;
    readonly shape: Pick<LlamaShape, "nLayer" | "nEmbd" | "nHead" | "headDim">;
    readonly seed: number;
    readonly baseArchitecture?: string;
  },
): void {
  const rank = 4;
  const width = shape.nHead * shape.headDim;
  const parameters = Array.from({ length: shape.nLayer }, (_, layer) => [
    { name: `blk.${layer}.attn_q.weight.lora_a`, ne: [shape.nEmbd, rank] },
    { name: `blk.${layer}.attn_q.weight.lora_b`, ne: [rank, width] },
    { name: `blk.${layer}.attn_output.weight.lora_a`, ne: [width, rank] },
    { name: `blk.${layer}.attn_output.weight.lora_b`, ne: [rank, shape.nEmbd] },
  ]).flat();
  const values = new Map(
    parameters.map(({ name, ne }, index) => {
      const random = SeededRandom.from(seed, index);
      const count = ne.reduce((product, size) => product * size, 1);
      return [name, Float32Array.from({ length: count }, () => 0.3 * random.gaussian())];
    }),
  );
  const readParameter = (name: string) => values.get(name) ?? new Float32Array();
  writeLoraGguf(path, {
    libraries,
    trainable: { parameters: () => parameters, readParameter },
    alpha: 8,
    baseArchitecture,
  });
}
