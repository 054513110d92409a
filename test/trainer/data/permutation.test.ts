import fc from "fast-check";
import { expect, test } from "vitest";
import { permuted } from "#trainer/data/permutation.ts";
import { type RandomState, SeededRandom } from "#trainer/data/random.ts";

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const key = fc.tuple(word, word, word, word);

function order(count: number, by: RandomState): number[] {
  return Array.from({ length: count }, (_, place) => permuted(place, count, by));
}

test("whatever the key and the count, every item stands at one place", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), key, (count, by) => {
      expect(order(count, by).toSorted((a, b) => a - b)).toEqual([...Array(count).keys()]);
    }),
  );
});

test("over many keys each item stands at each place about equally often", () => {
  const COUNT = 7;
  const KEYS = 7_000;
  const random = SeededRandom.from(1);
  const seen = Array.from({ length: COUNT }, () => new Float64Array(COUNT));
  for (let i = 0; i < KEYS; i++) {
    const by = [random.next(), random.next(), random.next(), random.next()] as const;
    order(COUNT, by).forEach((item, place) => {
      const row = seen[place];
      if (row !== undefined) row[item] = (row[item] ?? 0) + 1;
    });
  }
  const expected = KEYS / COUNT;
  const chiSquare = seen
    .flatMap((row) => [...row])
    .reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 36 degrees of freedom: above 68 in one of a thousand.
  expect(chiSquare).toBeLessThan(68);
});

test("neighbours of a long list end up far apart", () => {
  const by: RandomState = [1, 2, 3, 4];
  const gaps = Array.from({ length: 1000 }, (_, place) =>
    Math.abs(permuted(place, 1_000_000, by) - permuted(place + 1, 1_000_000, by)),
  );
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  // Two places drawn at random are a third of the length apart.
  expect(mean).toBeGreaterThan(290_000);
  expect(mean).toBeLessThan(380_000);
});

test("a place outside the list is refused", () => {
  expect(() => permuted(5, 5, [1, 2, 3, 4])).toThrow(/no place 5 among 5/);
});
