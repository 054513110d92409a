import { expect, test } from "vitest";
import { simpoLoss } from "#trainer/losses/simpo.ts";
import { pairOf } from "./pairs.ts";

test("β 2, γ 1, means −0.5 and −1.5: margin 1, loss ln(1 + e⁻¹) = 0.313262", () => {
  const loss = simpoLoss(pairOf({ policy: [-2, -9] }), { beta: 2, simpoGamma: 1 });
  expect(loss.chosenReward).toBe(-1);
  expect(loss.rejectedReward).toBe(-3);
  expect(loss.loss).toBeCloseTo(0.313261688, 8);
  // 2 σ(−1) = 0.537882843, a token each
  expect(loss.policyChosenGradient).toBeCloseTo(-0.537882843 / 4, 8);
  expect(loss.policyRejectedGradient).toBeCloseTo(0.537882843 / 6, 8);
});
