/** Weights that are drawn when they are read: a model of any size without a file. */
import { bindGgml, GGML_TYPE } from "#engine/native/ggml.ts";
import type { GgufTensor } from "#engine/native/gguf.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { encodeTensor, type WeightType } from "#trainer/gguf/encode.ts";
import type { LlamaShape } from "#trainer/gguf/llama-shape.ts";
import type { WeightSource } from "#trainer/model/fill-weights.ts";
import { sizesOf } from "#trainer/model/memory-plan.ts";

/** Values drawn for each tensor, and repeated over it: drawing billions would take longer than training. */
const DRAWN_ROWS = 32;

/** A source of random weights of a shape; norms are 1. */
export function randomWeights(
  shape: LlamaShape,
  weights: WeightType,
  libraries: NativeLibraries,
): WeightSource {
  const sizes = sizesOf(shape, libraries, () => GGML_TYPE[weights]);
  const patterns = new Map<number, Uint8Array>();
  const pattern = ({ ne: [row = 1], name }: GgufTensor): Uint8Array => {
    const isNorm = name.endsWith("norm.weight");
    const key = isNorm ? -row : row;
    const known = patterns.get(key);
    if (known !== undefined) return known;
    const drawn = isNorm ? ones(row) : draw(row, weights, libraries);
    patterns.set(key, drawn);
    return drawn;
  };
  return {
    tensor: (name) => sizes.tensor(name),
    readTensorPart: (tensor, start, part) => {
      const bytes = pattern(tensor);
      for (let done = 0; done < part.length; ) {
        const from = (start + done) % bytes.length;
        const piece = bytes.subarray(from, from + part.length - done);
        part.set(piece, done);
        done += piece.length;
      }
    },
  };
}

function ones(count: number): Uint8Array {
  return new Uint8Array(new Float32Array(count).fill(1).buffer);
}

function draw(row: number, weights: WeightType, libraries: NativeLibraries): Uint8Array {
  const random = SeededRandom.from(1, row);
  const deviation = 1 / Math.sqrt(row);
  const values = Float32Array.from(
    { length: row * DRAWN_ROWS },
    () => deviation * random.gaussian(),
  );
  return encodeTensor(bindGgml(libraries), weights, values, [row, DRAWN_ROWS]);
}
