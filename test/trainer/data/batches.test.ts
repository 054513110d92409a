import fc from "fast-check";
import { expect, test } from "vitest";
import { EpochBatches, longestThatFits, splitStep } from "#trainer/data/batches.ts";
import { type ExampleSource, sourceOf } from "#trainer/data/example-source.ts";
import { type Example, scoredRange } from "#trainer/data/sequence.ts";
import { paddedTokens } from "#trainer/model/batch.ts";

function examples(lengths: readonly number[]): Example[] {
  return lengths.map((length, i) => ({
    id: `e${i}`,
    sequences: [scoredRange(new Int32Array(length), 1, length)],
    weight: 1,
  }));
}

function source(given: readonly number[]): ExampleSource {
  return sourceOf(examples(given));
}

const lengths = fc.array(fc.integer({ min: 2, max: 60 }), { minLength: 1, maxLength: 80 });
const batchSize = fc.integer({ min: 1, max: 9 });

test("each epoch takes every example once, whatever lengths, batch size and seed", () => {
  fc.assert(
    fc.property(lengths, batchSize, fc.integer(), (given, size, seed) => {
      const batches = new EpochBatches(source(given), size, seed);
      for (let epoch = 0; epoch < 2; epoch++) {
        expect(batches.position).toMatchObject({ epoch, batch: 0 });
        const taken = Array.from({ length: batches.batchesPerEpoch }, () => batches.next()).flat();
        expect(taken.toSorted((a, b) => a - b)).toEqual([...given.keys()]);
      }
    }),
  );
});

test("a run taken up at any position goes on with the same batches", () => {
  fc.assert(
    fc.property(lengths, batchSize, fc.nat(60), (given, size, steps) => {
      const whole = new EpochBatches(source(given), size, 3);
      for (let i = 0; i < steps; i++) whole.next();
      const saved = JSON.parse(JSON.stringify(whole.position));
      const resumed = new EpochBatches(source(given), size, saved);
      for (let i = 0; i < 20; i++) expect(resumed.next()).toEqual(whole.next());
    }),
  );
});

test("two epochs differ in order, the same seed does not", () => {
  const data = examples(Array.from({ length: 64 }, (_, i) => 2 + (i % 7)));
  const first = new EpochBatches(sourceOf(data), 4, 1);
  const epochs = [0, 1].map(() => Array.from({ length: 16 }, () => first.next()));
  expect(epochs[0]).not.toEqual(epochs[1]);
  const again = new EpochBatches(sourceOf(data), 4, 1);
  expect(Array.from({ length: 16 }, () => again.next())).toEqual(epochs[0]);
});

test("batches hold similar lengths, and less than a tenth of what is computed is padding", () => {
  const data = examples(Array.from({ length: 256 }, (_, i) => 10 + ((i * 37) % 200)));
  const batches = new EpochBatches(sourceOf(data), 8, 1);
  let computed = 0;
  let real = 0;
  for (let i = 0; i < batches.batchesPerEpoch; i++) {
    const step = splitStep(
      batches.next().flatMap((index) => data[index] ?? []),
      8 * 210,
    );
    computed += step.computedColumns;
    real += step.realColumns;
  }
  expect(1 - real / computed).toBeLessThan(1 / 10);
});

test("a step's parts hold each example once and none exceeds the limit", () => {
  fc.assert(
    fc.property(lengths, fc.integer({ min: 64, max: 300 }), (given, limit) => {
      const step = splitStep(examples(given), limit);
      expect(
        step.parts
          .flat()
          .map(({ id }) => id)
          .toSorted(),
      ).toEqual(
        examples(given)
          .map(({ id }) => id)
          .toSorted(),
      );
      for (const part of step.parts) {
        const longest = Math.max(...part.flatMap((e) => e.sequences.map((s) => s.tokens.length)));
        expect(paddedTokens(part.map(() => longest))).toBeLessThanOrEqual(limit);
      }
      expect(step.tokens).toBe(given.reduce((sum, n) => sum + n, 0));
    }),
  );
});

test("an example that no batch can hold is refused by name", () => {
  expect(() => splitStep(examples([50]), 63)).toThrow(/e0 takes 64 tokens/);
});

test("the longest sequences that fit a batch do fit, and one token more does not", () => {
  for (const [sequences, limit] of [
    [1, 64],
    [2, 300],
    [3, 1000],
  ] as const) {
    const length = longestThatFits(sequences, limit);
    expect(paddedTokens(Array(sequences).fill(length))).toBeLessThanOrEqual(limit);
    expect(paddedTokens(Array(sequences).fill(length + 1))).toBeGreaterThan(limit);
  }
  expect(() => longestThatFits(2, 63)).toThrow(/holds no 2 sequences/);
});
