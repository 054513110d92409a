/** What a DPO step cannot do without, in floating-point operations, and how much of its batch is padding. */
import { packBatch } from "#trainer/model/batch.ts";
import type { Sequence } from "#trainer/model/trainable.ts";
import type { Subject } from "./subjects.ts";

/**
 * Multiplications and additions of a step: linear layers and head forward, dX, and dW where weights are trained;
 * adapters' products; attention of what the mask shows. A prompt that two answers share counts once, and of the
 * last block's layers behind attention only the scored tokens, since no more is needed.
 */
export function stepFlops({ shape, lora }: Subject, batch: readonly Sequence[]): number {
  const columns = packBatch(batch, shape.nVocab).realColumns;
  const scored = batch.reduce((sum, sequence) => sum + count(sequence), 0);
  const width = shape.nHead * shape.headDim;
  const qkv = shape.nEmbd * (width + 2 * shape.nHeadKv * shape.headDim);
  const rest = shape.nEmbd * (width + 3 * shape.nFf);
  const linear = shape.nLayer * columns * qkv + ((shape.nLayer - 1) * columns + scored) * rest;
  const head = shape.nEmbd * shape.nVocab * scored;
  // The lowest block of a frozen model needs no gradient of its input.
  const spared = lora === null ? 0 : columns * qkv;
  const passes = lora === null ? 3 : 2;
  const attention = 3 * 2 * shape.nLayer * width * visible(batch);
  const adapters = lora === null ? 0 : 3 * adapterWork(shape, lora.rank, columns);
  return 2 * (passes * (linear + head) - spared + attention + adapters);
}

/** The share of computed columns that hold no token. */
export function paddingOf({ shape }: Subject, batch: readonly Sequence[]): number {
  const packed = packBatch(batch, shape.nVocab);
  return 1 - packed.realColumns / packed.shape.nColumns;
}

function adapterWork(shape: Subject["shape"], rank: number, columns: number): number {
  const width = shape.nHead * shape.headDim;
  const keys = shape.nHeadKv * shape.headDim;
  const inputs = 3 * shape.nEmbd + width + 2 * shape.nEmbd + shape.nFf;
  const outputs = width + 2 * keys + shape.nEmbd + 2 * shape.nFf + shape.nEmbd;
  return shape.nLayer * columns * rank * (inputs + outputs);
}

/** Pairs of query and key that the causal mask shows; queries of a shared beginning count once. */
function visible(batch: readonly Sequence[]): number {
  const triangle = (n: number) => (n * (n + 1)) / 2;
  return batch.reduce((sum, { tokens }, index) => {
    const before = index % 2 === 1 ? batch[index - 1]?.tokens : undefined;
    const differs = tokens.findIndex((token, i) => token !== before?.[i]);
    return sum + triangle(tokens.length) - (before === undefined ? 0 : triangle(differs));
  }, 0);
}

function count({ scored }: Sequence): number {
  return scored.reduce((sum, bit) => sum + bit, 0);
}
