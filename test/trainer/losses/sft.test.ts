import { expect, test } from "vitest";
import { maskedSftLoss } from "#trainer/losses/sft.ts";

const mask = (...bits: number[]): Uint8Array => Uint8Array.from(bits);
const logps = (...values: number[]): Float32Array => Float32Array.from(values);

test("the loss is the mean over scored tokens only: (1 + 2 + 3) / 3 = 2", () => {
  const loss = maskedSftLoss([logps(-9, -1, -2), logps(-9, -3)], [mask(0, 1, 1), mask(0, 1)], 3);
  expect(loss.loss).toBeCloseTo(2, 12);
  expect(loss.scoredTokens).toBe(3);
  const third = Math.fround(-1 / 3);
  expect(loss.gradients.map((g) => [...g])).toEqual([
    [0, third, third],
    [0, third],
  ]);
});

test("a uniform model over 64 tokens loses ln 64 a token", () => {
  const p = Math.fround(-Math.log(64));
  expect(maskedSftLoss([logps(0, p, p, p)], [mask(0, 1, 1, 1)], 3).loss).toBeCloseTo(4.158883, 5);
});

test("micro-batches normalised by the step's tokens add up to the step's mean", () => {
  const whole = maskedSftLoss([logps(0, -1), logps(0, -5, -3)], [mask(0, 1), mask(0, 1, 1)], 3);
  const first = maskedSftLoss([logps(0, -1)], [mask(0, 1)], 3);
  const second = maskedSftLoss([logps(0, -5, -3)], [mask(0, 1, 1)], 3);
  expect(first.loss + second.loss).toBeCloseTo(whole.loss, 12);
});

test("a mask of another length than its sequence is refused", () => {
  expect(() => maskedSftLoss([logps(0, 0)], [mask(0)], 1)).toThrow(/mask 0/);
});

test("a step without a scored token is refused instead of dividing by zero", () => {
  expect(() => maskedSftLoss([logps(0)], [mask(0)], 0)).toThrow(/normaliser/);
});
