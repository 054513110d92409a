/**
 * Where Hugging Face's models and GGUF files keep the same matrix, and in which order its rows stand.
 * It knows names and orders, no files.
 */
import type { LlamaShape } from "../gguf/llama-shape.ts";

/** A linear layer of a block by both names, with its sizes. */
export type Module = {
  /** GGUF's, such as `blk.0.attn_q.weight`. */
  readonly tensor: string;
  /** Hugging Face's within the model, such as `layers.0.self_attn.q_proj`. */
  readonly module: string;
  readonly layer: number;
  /** The last part of `module`, as PEFT's `target_modules` name it. */
  readonly projection: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Heads whose rows are interleaved in the GGUF; undefined where both orders are the same. */
  readonly interleavedHeads: number | undefined;
};

/** Every linear layer that a LoRA adapter may sit on. */
export function llamaModules(shape: LlamaShape): readonly Module[] {
  return Array.from({ length: shape.nLayer }, (_, layer) => layerModules(shape, layer)).flat();
}

function layerModules(shape: LlamaShape, layer: number): Module[] {
  const { nEmbd, nFf, nHead, nHeadKv, headDim } = shape;
  const named = (
    [tensor, parent, projection]: readonly [string, string, string],
    inputs: number,
    outputs: number,
    interleavedHeads?: number,
  ): Module => ({
    tensor: `blk.${layer}.${tensor}.weight`,
    module: `layers.${layer}.${parent}.${projection}`,
    layer,
    projection,
    inputs,
    outputs,
    interleavedHeads,
  });
  return [
    named(["attn_q", "self_attn", "q_proj"], nEmbd, nHead * headDim, nHead),
    named(["attn_k", "self_attn", "k_proj"], nEmbd, nHeadKv * headDim, nHeadKv),
    named(["attn_v", "self_attn", "v_proj"], nEmbd, nHeadKv * headDim),
    named(["attn_output", "self_attn", "o_proj"], nHead * headDim, nEmbd),
    named(["ffn_gate", "mlp", "gate_proj"], nEmbd, nFf),
    named(["ffn_up", "mlp", "up_proj"], nEmbd, nFf),
    named(["ffn_down", "mlp", "down_proj"], nFf, nEmbd),
  ];
}

/**
 * Rows of a q or k matrix, or of its LoRA B, from Hugging Face's order to GGUF's. Hugging Face turns dimension j
 * of a head with j + d/2, llama.cpp with its neighbour, so its converter writes row 2j + i of each head from row
 * i · d/2 + j (conversion/llama.py, `LlamaModel.permute`).
 * @param rows row-major [outputs, columns]
 */
export function interleaveRows(rows: Float32Array, heads: number, outputs: number): Float32Array {
  return moveRows(rows, heads, outputs, (gguf, hf) => [gguf, hf]);
}

/** The inverse of `interleaveRows`: GGUF's order to Hugging Face's. */
export function deinterleaveRows(rows: Float32Array, heads: number, outputs: number): Float32Array {
  return moveRows(rows, heads, outputs, (gguf, hf) => [hf, gguf]);
}

function moveRows(
  rows: Float32Array,
  heads: number,
  outputs: number,
  choose: (gguf: number, hf: number) => readonly [to: number, from: number],
): Float32Array {
  const columns = rows.length / outputs;
  const half = outputs / heads / 2;
  if (!Number.isInteger(columns) || !Number.isInteger(half)) {
    throw new RangeError(`${rows.length} values are no ${outputs} rows of ${heads} even heads`);
  }
  const moved = new Float32Array(rows.length);
  for (let head = 0; head < heads; head++) {
    const first = head * 2 * half;
    for (let i = 0; i < 2; i++) {
      for (let j = 0; j < half; j++) {
        const [to, from] = choose(first + 2 * j + i, first + i * half + j);
        moved.set(rows.subarray(from * columns, (from + 1) * columns), to * columns);
      }
    }
  }
  return moved;
}
