import { describe, expect, test } from "vitest";
import {
  hingeDpoLoss,
  ipoLoss,
  lengthNormalisedDpoLoss,
  robustDpoLoss,
  sigmoidDpoLoss,
} from "#trainer/losses/dpo.ts";
import { withChosenNll } from "#trainer/losses/pair.ts";
import { pairOf } from "./pairs.ts";

const PLAIN = { beta: 0.1, labelSmoothing: 0 };
/** Chosen raised by 5, rejected lowered by 15: at β 0.1 rewards are 0.5 and −1.5, the margin 2. */
const margin2 = pairOf({ policy: [-15, -55], reference: [-20, -40], tokens: [5, 10] });

describe("sigmoid", () => {
  test("dpo loss at zero margin is ln 2, with gradient −β/2 on the chosen and +β/2 on the rejected", () => {
    const loss = sigmoidDpoLoss(pairOf({ policy: [-12, -30], reference: [-12, -30] }), PLAIN);
    expect(loss.loss).toBeCloseTo(Math.LN2, 12);
    expect(loss.policyChosenGradient).toBeCloseTo(-0.05, 12);
    expect(loss.policyRejectedGradient).toBeCloseTo(0.05, 12);
  });

  test("β 0.1, chosen raised by 5, rejected lowered by 15: margin 2, loss ln(1 + e⁻²) = 0.126928", () => {
    const loss = sigmoidDpoLoss(margin2, PLAIN);
    expect(loss.chosenReward).toBeCloseTo(0.5, 12);
    expect(loss.rejectedReward).toBeCloseTo(-1.5, 12);
    expect(loss.loss).toBeCloseTo(0.126928011, 8);
    // −β σ(−2) = −0.1 · 0.119202922
    expect(loss.policyChosenGradient).toBeCloseTo(-0.0119202922, 9);
  });

  test("conservative, ε 0.2 at margin 2: 0.8 · 0.126928 + 0.2 · 2.126928 = 0.526928", () => {
    const loss = sigmoidDpoLoss(margin2, { ...PLAIN, labelSmoothing: 0.2 });
    expect(loss.loss).toBeCloseTo(0.526928011, 8);
    // 0.1 · (0.2 · 0.880797 − 0.8 · 0.119203)
    expect(loss.policyChosenGradient).toBeCloseTo(0.00807970779, 9);
  });

  test("margins of a thousand nats stay finite on both sides", () => {
    const won = pairOf({ policy: [0, -20_000], reference: [-20_000, 0] });
    expect(sigmoidDpoLoss(won, PLAIN).loss).toBe(0);
    const lost = sigmoidDpoLoss(pairOf({ policy: [-20_000, 0], reference: [0, -20_000] }), PLAIN);
    expect(lost.loss).toBe(4000);
    expect(lost.policyChosenGradient).toBeCloseTo(-0.1, 12);
  });
});

describe("robust", () => {
  test("ε 0.2 at margin 2: (0.8 · 0.126928 − 0.2 · 2.126928) / 0.6 = −0.539739", () => {
    const loss = robustDpoLoss(margin2, { ...PLAIN, labelSmoothing: 0.2 });
    expect(loss.loss).toBeCloseTo(-0.539738655, 8);
    // −0.1 · (0.8 · 0.119203 + 0.2 · 0.880797) / 0.6
    expect(loss.policyChosenGradient).toBeCloseTo(-0.0452536255, 9);
  });

  test("averaged over labels flipped with chance ε it is the loss on true labels", () => {
    const epsilon = 0.3;
    const options = { ...PLAIN, labelSmoothing: epsilon };
    const flipped = pairOf({ policy: [-55, -15], reference: [-40, -20] });
    const mean =
      (1 - epsilon) * robustDpoLoss(margin2, options).loss +
      epsilon * robustDpoLoss(flipped, options).loss;
    expect(mean).toBeCloseTo(sigmoidDpoLoss(margin2, PLAIN).loss, 12);
  });
});

describe("hinge", () => {
  test("below a margin of 1 the loss is what is missing, with gradient −β", () => {
    const pair = pairOf({ policy: [-15, -35], reference: [-20, -40] });
    expect(hingeDpoLoss(pair, PLAIN)).toMatchObject({
      loss: 1,
      policyChosenGradient: -0.1,
      policyRejectedGradient: 0.1,
    });
  });

  test("above it nothing pulls any more", () => {
    const loss = hingeDpoLoss(margin2, PLAIN);
    expect(loss.loss).toBe(0);
    expect(loss.policyChosenGradient).toBeCloseTo(0, 12);
  });
});

describe("ipo", () => {
  test("log-ratios per token 1 and −1.5, target 5: (2.5 − 5)² = 6.25, gradients −5/5 and +5/10", () => {
    expect(ipoLoss(margin2, { beta: 0.1 })).toMatchObject({
      loss: 6.25,
      policyChosenGradient: -1,
      policyRejectedGradient: 0.5,
    });
  });

  test("beyond the target it pulls back", () => {
    expect(ipoLoss(margin2, { beta: 0.5 }).policyChosenGradient).toBeCloseTo(0.6, 12);
  });
});

describe("length-normalised", () => {
  test("β 2 times 2.5 a token: ln(1 + e⁻⁵) = 0.006715, gradient −2 σ(−5) / 5", () => {
    const loss = lengthNormalisedDpoLoss(margin2, { beta: 2 });
    expect(loss.loss).toBeCloseTo(0.006715348, 8);
    expect(loss.policyChosenGradient).toBeCloseTo(-0.00267714, 9);
    expect(loss.policyRejectedGradient).toBeCloseTo(0.00133857, 9);
  });

  test("repeating both completions twice changes nothing", () => {
    const twice = pairOf({ policy: [-30, -110], reference: [-40, -80], tokens: [10, 20] });
    const options = { beta: 5 };
    const once = lengthNormalisedDpoLoss(margin2, options).loss;
    expect(lengthNormalisedDpoLoss(twice, options).loss).toBeCloseTo(once, 12);
  });
});

test("an NLL term of α 1 adds the chosen's NLL per token: 15 nats over 5 tokens is 3", () => {
  const pair = pairOf({ policy: [-15, -40], reference: [-15, -40], tokens: [5, 10] });
  const loss = withChosenNll(sigmoidDpoLoss(pair, PLAIN), pair, 1);
  expect(loss.loss).toBeCloseTo(Math.LN2 + 3, 12);
  expect(loss.policyChosenGradient).toBeCloseTo(-0.05 - 0.2, 12);
  expect(loss.policyRejectedGradient).toBeCloseTo(0.05, 12);
});
