import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DpoLogps, type DpoLossOptions, sigmoidDpoLoss } from "#trainer/losses/dpo.ts";

const PLAIN: DpoLossOptions = { beta: 0.1, labelSmoothing: 0, rpoAlpha: 0 };

function onePair(pc: number, pr: number, rc: number, rr: number): DpoLogps {
  return {
    policyChosenLogps: [pc],
    policyRejectedLogps: [pr],
    referenceChosenLogps: [rc],
    referenceRejectedLogps: [rr],
  };
}

describe("by hand", () => {
  test("dpo loss at zero margin is ln 2, with gradient −β/2 on the chosen and +β/2 on the rejected", () => {
    const loss = sigmoidDpoLoss(onePair(-12, -30, -12, -30), [4], PLAIN);
    expect(loss.losses[0]).toBeCloseTo(Math.LN2, 12);
    expect(loss.policyChosenGradients[0]).toBeCloseTo(-0.05, 12);
    expect(loss.policyRejectedGradients[0]).toBeCloseTo(0.05, 12);
  });

  test("β 0.1, chosen raised by 5, rejected lowered by 15: margin 2, loss ln(1 + e⁻²) = 0.126928", () => {
    const loss = sigmoidDpoLoss(onePair(-15, -55, -20, -40), [4], PLAIN);
    expect(loss.chosenRewards[0]).toBeCloseTo(0.5, 12);
    expect(loss.rejectedRewards[0]).toBeCloseTo(-1.5, 12);
    expect(loss.losses[0]).toBeCloseTo(0.126928011, 8);
    // −β σ(−2) = −0.1 · 0.119202922
    expect(loss.policyChosenGradients[0]).toBeCloseTo(-0.0119202922, 9);
  });

  test("label smoothing 0.2 at margin 2 is 0.8 · 0.126928 + 0.2 · 2.126928 = 0.526928", () => {
    const options = { ...PLAIN, labelSmoothing: 0.2 };
    const loss = sigmoidDpoLoss(onePair(-15, -55, -20, -40), [4], options);
    expect(loss.losses[0]).toBeCloseTo(0.526928011, 8);
  });

  test("an RPO α of 1 adds the chosen's NLL per token: 15 nats over 5 tokens is 3", () => {
    const options = { ...PLAIN, rpoAlpha: 1 };
    const loss = sigmoidDpoLoss(onePair(-15, -40, -15, -40), [5], options);
    expect(loss.losses[0]).toBeCloseTo(Math.LN2 + 3, 12);
    expect(loss.policyChosenGradients[0]).toBeCloseTo(-0.05 - 0.2, 12);
  });
});

test("the gradient equals central finite differences for any pair and any option", () => {
  const logp = fc.double({ min: -80, max: 0, noNaN: true });
  const options = fc.record({
    beta: fc.double({ min: 0.01, max: 1, noNaN: true }),
    labelSmoothing: fc.double({ min: 0, max: 0.4, noNaN: true }),
    rpoAlpha: fc.double({ min: 0, max: 2, noNaN: true }),
  });
  fc.assert(
    fc.property(logp, logp, logp, logp, options, (pc, pr, rc, rr, given) => {
      const at = (c: number, r: number): number =>
        sigmoidDpoLoss(onePair(c, r, rc, rr), [7], given).losses[0] ?? Number.NaN;
      const loss = sigmoidDpoLoss(onePair(pc, pr, rc, rr), [7], given);
      const h = 1e-4;
      const chosen = (at(pc + h, pr) - at(pc - h, pr)) / (2 * h);
      const rejected = (at(pc, pr + h) - at(pc, pr - h)) / (2 * h);
      expect(loss.policyChosenGradients[0]).toBeCloseTo(chosen, 6);
      expect(loss.policyRejectedGradients[0]).toBeCloseTo(rejected, 6);
    }),
  );
});

test("margins of a thousand nats stay finite on both sides", () => {
  const won = sigmoidDpoLoss(onePair(0, -20_000, -20_000, 0), [1], PLAIN);
  expect(won.losses[0]).toBe(0);
  const lost = sigmoidDpoLoss(onePair(-20_000, 0, 0, -20_000), [1], PLAIN);
  expect(lost.losses[0]).toBe(4000);
  expect(lost.policyChosenGradients[0]).toBeCloseTo(-0.1, 12);
});

test("a β of 0, which would freeze the loss at ln 2, is refused", () => {
  expect(() => sigmoidDpoLoss(onePair(0, 0, 0, 0), [1], { ...PLAIN, beta: 0 })).toThrow(/beta/);
});

test("lists of different lengths are refused", () => {
  const logps = { ...onePair(0, 0, 0, 0), referenceChosenLogps: [0, 0] };
  expect(() => sigmoidDpoLoss(logps, [1], PLAIN)).toThrow(/every list/);
});
