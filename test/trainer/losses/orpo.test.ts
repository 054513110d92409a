import { expect, test } from "vitest";
import { orpoLoss } from "#trainer/losses/orpo.ts";
import { pairOf } from "./pairs.ts";

const half = Math.log(1 / 2);
const fifth = Math.log(1 / 5);

test("P_c ½ and P_r ⅕: odds 1 and ¼, loss ln 2 + 0.1 · ln(1 + ¼) = 0.715462", () => {
  const pair = pairOf({ policy: [4 * half, 6 * fifth] });
  const loss = orpoLoss(pair, { beta: 0.1 });
  expect(loss.logOdds).toBeCloseTo(Math.log(4), 12);
  expect(loss.nll).toBeCloseTo(Math.LN2, 12);
  expect(loss.logOddsRatio).toBeCloseTo(-Math.log(1.25), 12);
  expect(loss.loss).toBeCloseTo(0.715461536, 8);
  // σ(−ln 4) = 1/5; d log odds_c / da = 1 / (1 − ½) = 2: (−1 − 0.1 · 0.2 · 2) / 4
  expect(loss.policyChosenGradient).toBeCloseTo(-0.26, 12);
  // d log odds_r / da = 1 / (1 − ⅕): 0.1 · 0.2 · 1.25 / 6
  expect(loss.policyRejectedGradient).toBeCloseTo(0.025 / 6, 12);
  expect(loss.chosenReward).toBeCloseTo(0.1 * half, 12);
});

test("a certain rejected answer, whose odds are infinite, still has a finite pull downwards", () => {
  const loss = orpoLoss(pairOf({ policy: [-4, 0] }), { beta: 0.1 });
  expect(loss.loss).toBeLessThan(10);
  expect(loss.policyRejectedGradient).toBeGreaterThan(0);
  expect(loss.policyRejectedGradient).toSatisfy(Number.isFinite);
});
