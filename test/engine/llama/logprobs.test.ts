import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { logSumExp, rankTokens } from "#engine/llama/logprobs.ts";

describe("rankTokens", () => {
  test("of logits ln 1, ln 2, ln 5 the probabilities are an eighth, a quarter, five eighths", () => {
    const { chosen, top } = rankTokens(Float32Array.of(0, Math.log(2), Math.log(5)), 0, 2);
    expect(chosen.logprob).toBeCloseTo(Math.log(1 / 8), 6);
    expect(top.map(({ id }) => id)).toEqual([2, 1]);
    expect(top[0]?.logprob).toBeCloseTo(Math.log(5 / 8), 6);
    expect(top[1]?.logprob).toBeCloseTo(Math.log(2 / 8), 6);
  });

  test("probabilities of the whole vocabulary sum to one, also for large logits", () => {
    const logits = fc.float32Array({ min: -80, max: 80, noNaN: true, minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(logits, (row) => {
        const { top } = rankTokens(row, 0, row.length);
        expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 9);
        const order = top.map(({ logprob }) => logprob);
        expect(order).toEqual(order.toSorted((a, b) => b - a));
      }),
    );
  });

  test("no alternatives asked for, none given", () => {
    expect(rankTokens(Float32Array.of(1, 2), 1, 0).top).toEqual([]);
  });

  test("a token outside the vocabulary is refused", () => {
    expect(() => rankTokens(Float32Array.of(1, 2), 2, 0)).toThrow("not among");
  });
});

test("logSumExp does not overflow", () => {
  expect(logSumExp(Float32Array.of(1000, 1000))).toBeCloseTo(1000 + Math.log(2), 6);
});
