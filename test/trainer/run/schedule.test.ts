import { expect, test } from "vitest";
import { learningRateAt, type Schedule } from "#trainer/run/schedule.ts";

const cosine: Schedule = { learningRate: 1, warmupRatio: 0.1, decay: "cosine" };
const at = (schedule: Schedule, step: number, of: number) =>
  learningRateAt(schedule, step / of, 1 / of);

test("the warm-up rises in equal steps and reaches the peak with its last", () => {
  const rates = [0, 1, 2, 3, 4].map((step) => at({ ...cosine, warmupRatio: 0.5 }, step, 10));
  expect(rates.map((rate) => Number(rate.toFixed(12)))).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
});

test("cosine: half the peak in the middle of the decay, nothing at the end", () => {
  expect(at(cosine, 10, 100)).toBeCloseTo(1, 12);
  expect(at(cosine, 55, 100)).toBeCloseTo(0.5, 12);
  expect(at(cosine, 100, 100)).toBeCloseTo(0, 12);
});

test("linear: a quarter of the decay leaves three quarters", () => {
  expect(at({ ...cosine, decay: "linear", warmupRatio: 0 }, 25, 100)).toBeCloseTo(0.75, 12);
});

test("constant stays at the peak after the warm-up", () => {
  expect(at({ ...cosine, decay: "constant" }, 99, 100)).toBe(1);
});

test("a run of a single step trains at the peak instead of at 0", () => {
  expect(at(cosine, 0, 1)).toBe(1);
});
