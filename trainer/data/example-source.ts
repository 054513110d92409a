/**
 * Examples by their place, wherever they lie: a list in memory here, a file elsewhere. What trains on
 * them asks for one step's at a time, so that their number takes no memory.
 */
import { createHash, type Hash } from "node:crypto";
import { type Example, longest } from "./sequence.ts";

/** Examples in a fixed order. */
export type ExampleSource = {
  readonly count: number;
  /** Of ids, weights, tokens and masks in order, hex: equal for equal data, wherever it lies. */
  readonly sha256: string;
  /** Tokens of the longest sequence of the example at `place`, without reading the rest. */
  longestAt(place: number): number;
  /** @throws RangeError when nothing stands there */
  read(place: number): Example;
};

/** A list as a source; a source as it is. */
export function sourceOf(examples: readonly Example[] | ExampleSource): ExampleSource {
  if ("read" in examples) return examples;
  const hash = createHash("sha256");
  for (const example of examples) hashExample(hash, example);
  return {
    count: examples.length,
    sha256: hash.digest("hex"),
    longestAt: (place) => longest(examples[place]?.sequences ?? []),
    read: (place) => {
      const example = examples[place];
      if (example === undefined) throw new RangeError(`there is no example ${place}`);
      return example;
    },
  };
}

/** Adds one example to a source's hash. */
export function hashExample(hash: Hash, { id, sequences, weight }: Example): void {
  hash.update(JSON.stringify([id, weight, sequences.map(({ tokens }) => tokens.length)]));
  for (const { tokens, scored } of sequences) hash.update(tokens).update(scored);
}
