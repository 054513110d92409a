import fc from "fast-check";
import { expect, test } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";

test("a generator resumed from its state goes on with the same numbers", () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(50), (seed, skipped) => {
      const random = SeededRandom.from(seed);
      for (let i = 0; i < skipped; i++) random.next();
      for (const word of random.state) expect(word).toBe(word >>> 0);
      const twin = SeededRandom.resume(random.state);
      expect(Array.from({ length: 20 }, () => twin.next())).toEqual(
        Array.from({ length: 20 }, () => random.next()),
      );
    }),
  );
});

test("a shuffle keeps every item", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer(), (items, seed) => {
      expect(SeededRandom.from(seed).shuffled(items).toSorted()).toEqual(items.toSorted());
    }),
  );
});

test("neighbouring seeds give unlike streams", () => {
  const firsts = Array.from({ length: 1000 }, (_, seed) => SeededRandom.from(1, seed).next());
  expect(new Set(firsts).size).toBe(1000);
});

test("uniform and normal draws have the mean and spread that they should", () => {
  const random = SeededRandom.from(5);
  const draws = 20_000;
  const uniform = Array.from({ length: draws }, () => random.uniform());
  const normal = Array.from({ length: draws }, () => random.gaussian());
  const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  expect(mean(uniform)).toBeCloseTo(0.5, 1.5);
  expect(mean(normal)).toBeCloseTo(0, 1.5);
  expect(mean(normal.map((x) => x * x))).toBeCloseTo(1, 1);
});

test("each of three numbers is drawn a third of the time", () => {
  const random = SeededRandom.from(9);
  const drawn = Array.from({ length: 9000 }, () => random.below(3));
  for (const wanted of [0, 1, 2]) {
    const share = drawn.filter((number) => number === wanted).length / drawn.length;
    expect(share).toBeCloseTo(1 / 3, 1.5);
  }
});
