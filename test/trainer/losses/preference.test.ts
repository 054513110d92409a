import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assertPairLossOptions,
  isReferenceFree,
  type PairLossName,
  type PairLossOptions,
  pairLoss,
} from "#trainer/losses/preference.ts";
import { pairOf } from "./pairs.ts";

const NAMES: readonly PairLossName[] = [
  "sigmoid",
  "robust",
  "hinge",
  "ipo",
  "sigmoid_norm",
  "orpo",
  "simpo",
];
const PLAIN: PairLossOptions = {
  loss: "sigmoid",
  beta: 0.1,
  labelSmoothing: 0,
  rpoAlpha: 0,
  ldAlpha: 1,
  simpoGamma: 0,
};
const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const count = fc.integer({ min: 1, max: 50 });

const options = fc
  .record({
    loss: fc.constantFrom(...NAMES),
    beta: real(0.01, 5),
    labelSmoothing: real(0, 0.4),
    rpoAlpha: real(0, 2),
    simpoGamma: real(0, 3),
  })
  .map((drawn): PairLossOptions => {
    const smooths = drawn.loss === "sigmoid" || drawn.loss === "robust";
    return { ...PLAIN, ...drawn, labelSmoothing: smooths ? drawn.labelSmoothing : 0 };
  });

describe.each(NAMES)("%s", (loss) => {
  test("the gradient equals central finite differences for any pair and any setting", () => {
    const logp = real(-80, -0.5);
    fc.assert(
      fc.property(logp, logp, logp, logp, count, count, options, (pc, pr, rc, rr, c, r, drawn) => {
        const given = { ...drawn, loss, labelSmoothing: smoothingFor(loss, drawn) };
        const of = (chosen: number, rejected: number) =>
          pairLoss(
            pairOf({ policy: [chosen, rejected], reference: [rc, rr], tokens: [c, r] }),
            given,
          );
        const h = 1e-4;
        // A kink has no derivative.
        const atKink = Math.abs(1 - given.beta * (pc - rc - pr + rr)) < 10 * h * given.beta;
        fc.pre(loss !== "hinge" || !atKink);
        const { policyChosenGradient, policyRejectedGradient } = of(pc, pr);
        const chosen = (of(pc + h, pr).loss - of(pc - h, pr).loss) / (2 * h);
        const rejected = (of(pc, pr + h).loss - of(pc, pr - h).loss) / (2 * h);
        expectClose(policyChosenGradient, chosen);
        expectClose(policyRejectedGradient, rejected);
      }),
    );
  });

  test("log-probabilities of ±1000 give finite losses and gradients", () => {
    const extreme = fc.constantFrom(-1000, -1, -1e-12, 0, 1, 1000);
    fc.assert(
      fc.property(
        extreme,
        extreme,
        extreme,
        extreme,
        count,
        options,
        (pc, pr, rc, rr, c, drawn) => {
          const given = { ...drawn, loss, labelSmoothing: smoothingFor(loss, drawn) };
          const pair = pairOf({ policy: [pc, pr], reference: [rc, rr], tokens: [c, 1] });
          for (const value of Object.values(pairLoss(pair, given)))
            expect(value).toSatisfy(Number.isFinite);
        },
      ),
    );
  });

  test("raising the chosen and lowering the rejected lowers the loss, at equal log-probabilities", () => {
    const given = { ...PLAIN, loss };
    const { policyChosenGradient, policyRejectedGradient } = pairLoss(
      pairOf({ policy: [-10, -10], reference: [-10, -10], tokens: [5, 5] }),
      given,
    );
    expect(policyChosenGradient).toBeLessThan(0);
    expect(policyRejectedGradient).toBeGreaterThan(0);
  });

  test("reads the reference unless it is reference-free", () => {
    const of = (reference: [number, number]) =>
      pairLoss(pairOf({ policy: [-10, -12], reference }), { ...PLAIN, loss }).loss;
    expect(of([-9, -13]) === of([-11, -10])).toBe(isReferenceFree(loss));
  });
});

describe("settings", () => {
  test.each<[Partial<PairLossOptions>, RegExp]>([
    [{ beta: 0 }, /beta must be above 0; got 0/],
    [{ beta: Number.NaN }, /beta/],
    [{ labelSmoothing: 0.5 }, /labelSmoothing/],
    [{ rpoAlpha: -1 }, /rpoAlpha/],
    [{ ldAlpha: 1.5 }, /ldAlpha/],
    [{ simpoGamma: -0.1 }, /simpoGamma/],
    [{ loss: "ipo", labelSmoothing: 0.1 }, /not ipo/],
    [{ loss: "simpo", ldAlpha: 0.5 }, /not simpo/],
  ])("%j is refused: it would be no loss, or left unread", (change, message) => {
    expect(() => assertPairLossOptions({ ...PLAIN, ...change })).toThrow(message);
  });

  test("every loss is accepted with plain settings", () => {
    for (const loss of NAMES) assertPairLossOptions({ ...PLAIN, loss });
  });
});

function smoothingFor(loss: PairLossName, drawn: PairLossOptions): number {
  return loss === "sigmoid" || loss === "robust" ? drawn.labelSmoothing : 0;
}

function expectClose(gradient: number, difference: number): void {
  expect(Math.abs(gradient - difference)).toBeLessThan(1e-5 * Math.max(1, Math.abs(gradient)));
}
