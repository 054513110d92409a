/**
 * Which examples form each optimiser step, in an order that a seed fixes and a checkpoint can take up again;
 * and how a step is split into parts that fit the model's batch. It knows lengths, not contents.
 */
import { columnsOf, paddedTokens } from "../model/batch.ts";
import type { ExampleSource } from "./example-source.ts";
import { permuted } from "./permutation.ts";
import { type RandomState, SeededRandom } from "./random.ts";
import { type Example, longest } from "./sequence.ts";

/** Where in the data a run stands. */
export type DataPosition = {
  /** Epochs finished. */
  readonly epoch: number;
  /** Batches of the running epoch that were taken. */
  readonly batch: number;
  /** The generator as it stood when the running epoch was shuffled. */
  readonly random: RandomState;
};

/** How many batches' worth of examples are sorted by length together: more pads less, and shuffles less. */
const BUCKET_BATCHES = 16;

/**
 * An endless, deterministic run through the data: each epoch takes every example once. Its memory does not
 * grow with the data: orders are computed place by place, lengths are asked of the source.
 */
export class EpochBatches {
  /** Steps in an epoch; the last one may be smaller. */
  readonly batchesPerEpoch: number;
  readonly #source: ExampleSource;
  readonly #batchSize: number;
  readonly #random: SeededRandom;
  #position: DataPosition;
  /** Of the running epoch: keys of the examples' order and of the batches'. */
  #keys: readonly [RandomState, RandomState];

  /**
   * @param source at least one example
   * @param batchSize examples in a step
   * @param start a seed to begin with, or where a checkpoint stood
   */
  constructor(source: ExampleSource, batchSize: number, start: number | DataPosition) {
    if (source.count === 0 || !(batchSize > 0)) {
      throw new RangeError(`cannot batch ${source.count} examples by ${batchSize}`);
    }
    this.#source = source;
    this.#batchSize = batchSize;
    this.batchesPerEpoch = Math.ceil(source.count / batchSize);
    const fresh = typeof start === "number";
    this.#random = fresh ? SeededRandom.from(start) : SeededRandom.resume(start.random);
    this.#position = fresh ? { epoch: 0, batch: 0, random: this.#random.state } : start;
    this.#keys = this.#drawKeys();
  }

  get position(): DataPosition {
    return this.#position;
  }

  /** Places of the next step's examples. */
  next(): readonly number[] {
    const { epoch, batch } = this.#position;
    const places = this.#batchAt(batch);
    if (batch + 1 < this.batchesPerEpoch) {
      this.#position = { ...this.#position, batch: batch + 1 };
    } else {
      this.#position = { epoch: epoch + 1, batch: 0, random: this.#random.state };
      this.#keys = this.#drawKeys();
    }
    return places;
  }

  /** Batches of similar lengths, in random order: length must not follow the learning rate's schedule. */
  #batchAt(batch: number): readonly number[] {
    const [exampleKey, batchKey] = this.#keys;
    const { count } = this.#source;
    const shuffled = permuted(batch, this.batchesPerEpoch, batchKey);
    const bucket = Math.floor(shuffled / BUCKET_BATCHES);
    const first = bucket * BUCKET_BATCHES * this.#batchSize;
    const size = Math.min(BUCKET_BATCHES * this.#batchSize, count - first);
    const byLength = Array.from({ length: size }, (_, i) => {
      const place = permuted(first + i, count, exampleKey);
      return { place, tokens: this.#source.longestAt(place) };
    }).sort((a, b) => a.tokens - b.tokens);
    const start = (shuffled % BUCKET_BATCHES) * this.#batchSize;
    return byLength.slice(start, start + this.#batchSize).map(({ place }) => place);
  }

  #drawKeys(): readonly [RandomState, RandomState] {
    const key = (): RandomState => {
      const random = this.#random;
      return [random.next(), random.next(), random.next(), random.next()];
    };
    return [key(), key()];
  }
}

/** A step's examples in parts whose padded size fits the model. */
export type MicroBatches = {
  readonly parts: readonly (readonly Example[])[];
  /** Columns that are computed: each part's tokens, padded as the model pads a batch. */
  readonly computedColumns: number;
  /** Of these such that hold a token; a prompt that a pair shares counts once. */
  readonly realColumns: number;
  /** Tokens of all sequences. */
  readonly tokens: number;
};

/**
 * Splits a step's examples, longest together, so that no part's padded size exceeds `maxTokens`.
 * @throws RangeError when one example alone exceeds it
 */
export function splitStep(examples: readonly Example[], maxTokens: number): MicroBatches {
  const parts: Example[][] = [];
  let [realColumns, computedColumns] = [0, 0];
  let current: Example[] = [];
  const close = (): void => {
    if (current.length === 0) return;
    parts.push(current);
    const { real, computed } = columnsOf(current.flatMap(({ sequences }) => sequences));
    realColumns += real;
    computedColumns += computed;
    current = [];
  };
  const byLength = examples.toSorted((a, b) => longest(b.sequences) - longest(a.sequences));
  for (const example of byLength) {
    if (paddedSize([example]) > maxTokens) {
      const size = paddedSize([example]);
      throw new RangeError(`${example.id} takes ${size} tokens, more than a batch of ${maxTokens}`);
    }
    if (paddedSize([...current, example]) > maxTokens) close();
    current.push(example);
  }
  close();
  const tokens = examples
    .flatMap(({ sequences }) => sequences)
    .reduce((sum, sequence) => sum + sequence.tokens.length, 0);
  return { parts, computedColumns, realColumns, tokens };
}

/**
 * The longest that `sequences` of equal length may be to fit one batch.
 * @throws RangeError when not even a single token each fits
 */
export function longestThatFits(sequences: number, maxTokensPerBatch: number): number {
  let length = Math.floor(maxTokensPerBatch / sequences);
  while (length > 0 && paddedTokens(Array(sequences).fill(length)) > maxTokensPerBatch) length -= 1;
  if (length > 0) return length;
  throw new RangeError(`a batch of ${maxTokensPerBatch} tokens holds no ${sequences} sequences`);
}

function paddedSize(examples: readonly Example[]): number {
  const sequences = examples.flatMap((example) => example.sequences);
  return paddedTokens(sequences.map(({ tokens }) => tokens.length));
}
