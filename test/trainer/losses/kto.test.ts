import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ktoBalance, ktoLoss, ktoReferencePoint } from "#trainer/losses/kto.ts";

const OPTIONS = { beta: 0.1, desirableWeight: 1, undesirableWeight: 1 };
const liked = { policyLogp: -10, referenceLogp: -30, isDesirable: true };

describe("by hand", () => {
  test("liked, r 20, z₀ 10, β 0.1: 1 − σ(1) = 0.268941, gradient −0.1 σ(1) σ(−1)", () => {
    const loss = ktoLoss(liked, 10, OPTIONS);
    expect(loss.reward).toBeCloseTo(2, 12);
    expect(loss.loss).toBeCloseTo(0.268941421, 8);
    expect(loss.policyGradient).toBeCloseTo(-0.0196611933, 9);
  });

  test("disliked, the same: 1 − σ(−1) = 0.731059, twice that at λ_U 2, pushed down", () => {
    const disliked = { ...liked, isDesirable: false };
    expect(ktoLoss(disliked, 10, OPTIONS).loss).toBeCloseTo(0.731058579, 8);
    const doubled = ktoLoss(disliked, 10, { ...OPTIONS, undesirableWeight: 2 });
    expect(doubled.loss).toBeCloseTo(1.462117157, 8);
    expect(doubled.policyGradient).toBeCloseTo(0.0393223866, 9);
  });

  test("untrained, every loss is ½ and gradients point apart", () => {
    const same = { policyLogp: -7, referenceLogp: -7 };
    expect(ktoLoss({ ...same, isDesirable: true }, 0, OPTIONS)).toMatchObject({
      loss: 0.5,
      policyGradient: -0.025,
    });
    expect(ktoLoss({ ...same, isDesirable: false }, 0, OPTIONS)).toMatchObject({
      loss: 0.5,
      policyGradient: 0.025,
    });
  });
});

test("the gradient equals central finite differences, the reference point held", () => {
  const logp = fc.double({ min: -80, max: 0, noNaN: true });
  const positive = fc.double({ min: 0.05, max: 3, noNaN: true });
  fc.assert(
    fc.property(
      logp,
      logp,
      fc.boolean(),
      positive,
      positive,
      positive,
      (p, r, isDesirable, beta, d, u) => {
        const options = { beta, desirableWeight: d, undesirableWeight: u };
        const at = (policyLogp: number) =>
          ktoLoss({ policyLogp, referenceLogp: r, isDesirable }, 3, options);
        const h = 1e-4;
        const difference = (at(p + h).loss - at(p - h).loss) / (2 * h);
        expect(at(p).policyGradient).toBeCloseTo(difference, 6);
      },
    ),
  );
});

test("log-probabilities of ±1000 stay finite", () => {
  for (const policyLogp of [-1000, 1000]) {
    for (const isDesirable of [true, false]) {
      const loss = ktoLoss({ policyLogp, referenceLogp: -policyLogp, isDesirable }, 1000, OPTIONS);
      for (const value of Object.values(loss)) expect(value).toSatisfy(Number.isFinite);
    }
  }
});

describe("the reference point", () => {
  test("is the mean log-ratio of the samples, not below 0", () => {
    expect(ktoReferencePoint([-4, -6], [-7, -5])).toBe(1);
    expect(ktoReferencePoint([-9, -9], [-7, -5])).toBe(0);
    expect(ktoReferencePoint([], [])).toBe(0);
  });

  test("passes NaN on, so that a broken model stops the run", () => {
    expect(ktoReferencePoint([Number.NaN], [0])).toBeNaN();
  });
});

test("the rarer side weighs more, so that λ_D n_D = λ_U n_U", () => {
  expect(ktoBalance(30, 10)).toEqual({ desirableWeight: 1, undesirableWeight: 3 });
  expect(ktoBalance(5, 20)).toEqual({ desirableWeight: 4, undesirableWeight: 1 });
  expect(ktoBalance(5, 0)).toEqual({ desirableWeight: 1, undesirableWeight: 1 });
});
