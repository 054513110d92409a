/**
 * LoRA's dropout: entries of an adapter's input are zeroed before A, the others scaled up, in training only
 * (arXiv 2106.09685; PEFT's `lora_dropout`). One pool of random factors serves all adapters of a pass: each
 * reads it from a place of its own, since a mask for every layer would take more memory than the layers do.
 */
import type { SeededRandom } from "../data/random.ts";
import type { Tensor } from "../ggml/tensor.ts";
import type { Pass } from "./pass.ts";
import type { Adapter, Weights } from "./weights.ts";

/** Elements between the places where two adapters begin to read: no whole number of usual rows. */
const SHIFT = 1040;

/** Elements of the pool for inputs of `columns` columns. */
export function dropoutPoolElements({ blocks }: Weights, columns: number): number {
  const adapters = blocks.flatMap(({ qkv, o, gateUp, down }) =>
    [...qkv.members, o, ...gateUp.members, down].flatMap(({ adapter }) => adapter ?? []),
  );
  const widest = adapters.reduce((most, { a }) => Math.max(most, a.ne[0]), 0);
  return widest * columns + SHIFT * adapters.length;
}

/** x [in, columns] as the adapter's A sees it; x itself where the pass drops nothing. */
export function dropped(pass: Pass, adapter: Adapter, x: Tensor): Tensor {
  const factors = factorsOf(pass, adapter, x);
  return factors === undefined ? x : pass.operators.mul(x, factors);
}

/** The gradient of `dropped` for x, from that of its result: the same factors. */
export function droppedBackward(pass: Pass, adapter: Adapter, dx: Tensor): Tensor {
  return dropped(pass, adapter, dx);
}

function factorsOf({ operators, inputs }: Pass, adapter: Adapter, x: Tensor): Tensor | undefined {
  if (inputs.dropout === undefined) return undefined;
  const [width, columns] = x.ne;
  const from = adapter.index * SHIFT;
  return operators.reshape(
    operators.slice(inputs.dropout, 0, from, width * columns),
    width,
    columns,
  );
}

/**
 * Draws the pool: 0 with chance `rate`, else 1 / (1 − rate).
 * @param rate (0, 1)
 */
export function drawDropout(elements: number, rate: number, random: SeededRandom): Float32Array {
  const factors = new Float32Array(elements).fill(1 / (1 - rate));
  // Gaps between zeros are geometric, so that there is a draw for each zero only.
  const scale = 1 / Math.log1p(-rate);
  for (let at = gap(random, scale); at < elements; at += 1 + gap(random, scale)) factors[at] = 0;
  return factors;
}

function gap(random: SeededRandom, scale: number): number {
  return Math.floor(Math.log(1 - random.uniform()) * scale);
}
