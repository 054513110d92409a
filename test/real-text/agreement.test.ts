import { expect, test } from "vitest";
import { wilsonInterval } from "#trainer/gate/proportion.ts";
import { agreements, differenceOf, estimateOf, meanOfRuns, samenessOf } from "./agreement.ts";

test("a margin above 0 agrees, a tie by half", () => {
  expect(agreements([0.2, 0, -3])).toEqual([1, 0.5, 0]);
});

test("the interval of a share is nearly Wilson's at some hundreds of pairs", () => {
  const shares = Array.from({ length: 500 }, (_, i) => (i < 290 ? 1 : 0));
  const { mean, low, high } = estimateOf(shares);
  const wilson = wilsonInterval({ count: 290, total: 500 });
  expect(mean).toBeCloseTo(0.58, 9);
  expect(low).toBeCloseTo(wilson.low, 2);
  expect(high).toBeCloseTo(wilson.high, 2);
});

test("a second run that says the same makes nothing surer", () => {
  const run = [1, 0, 1, 1, 0, 1];
  expect(estimateOf(meanOfRuns([run, run]))).toEqual(estimateOf(run));
  expect(meanOfRuns([run, [0, 0, 1, 1, 1, 0]])).toEqual([0.5, 0, 1, 1, 0.5, 0.5]);
});

test("a difference of the same pairs is surer than each of the two", () => {
  const one = Array.from({ length: 200 }, (_, i) => (i < 120 ? 1 : 0));
  const other = one.map((value, i) => (i < 10 ? 0 : value));
  const { mean, low, high } = differenceOf(one, other);
  expect(mean).toBeCloseTo(0.05, 9);
  // McNemar's variance for 10 pairs against 0: (10 − 10²/200) / 200².
  expect(high - mean).toBeCloseTo(1.959964 * Math.sqrt((10 - 100 / 200) / 200 ** 2), 9);
  expect(low).toBeGreaterThan(0);
});

test("two that take the same answer in two pairs of four, and in one by half, are the same in 62.5%", () => {
  expect(samenessOf([1, 0, 1, 0.5], [1, 0, 0, 1])).toBe(0.625);
  expect(samenessOf([1, 0], [0, 1])).toBe(0);
});
