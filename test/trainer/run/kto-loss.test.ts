import { expect, test } from "vitest";
import type { Example } from "#trainer/data/sequence.ts";
import type { Sequence } from "#trainer/model/trainable.ts";
import { type RatedExample, unpairedLoss } from "#trainer/run/kto-loss.ts";

const OPTIONS = { beta: 0.1, desirableWeight: 1, undesirableWeight: 2 };

function sequenceOf(first: number): Sequence {
  return { tokens: Int32Array.from([first, 1, 1]), scored: Uint8Array.from([0, 1, 1]) };
}

function exampleOf(id: number): Example {
  return { id: `e${id}`, weight: 1, sequences: [sequenceOf(id)] };
}

const step = [0, 1, 2].map(exampleOf);
const rated = new Map<Example, RatedExample>(
  step.map((example, i) => [
    example,
    {
      isDesirable: i < 2,
      referenceLogp: -4,
      mismatched: sequenceOf(100 + i),
      mismatchedReferenceLogp: -10,
    },
  ]),
);
/** The policy finds every mismatched completion 2 nats likelier than the reference does. */
const model = {
  asked: [] as number[],
  async logps(batch: readonly Sequence[]): Promise<Float32Array[]> {
    this.asked.push(...batch.map(({ tokens }) => tokens[0] ?? -1));
    return batch.map(() => Float32Array.from([0, -4, -4]));
  },
};
const logps = step.map(() => Float32Array.from([0, -1, -2]));

test("the reference point is the mean log-ratio of the step's mismatched samples, asked once", async () => {
  model.asked = [];
  const weigh = await unpairedLoss(rated, OPTIONS)(step, model);
  const { metrics, gradients } = weigh(step, logps);
  expect(model.asked).toEqual([100, 101, 102]);
  expect(metrics["kl"]).toBeCloseTo(2, 6);
  // r = −3 + 4 = 1, z₀ = 2: liked 1 − σ(−0.1), disliked 2 (1 − σ(0.1))
  const disliked = 1 / (1 + Math.exp(0.1));
  expect(metrics.loss).toBeCloseTo((2 * (1 - disliked) + 2 * disliked) / 3, 6);
  expect(gradients[0]?.[1]).toBeLessThan(0);
  expect(gradients[2]?.[1]).toBeCloseTo(-2 * (gradients[0]?.[1] ?? 0), 7);
});

test("figures go by TRL's names: liked are the chosen, margins are the difference of the means", async () => {
  const weigh = await unpairedLoss(rated, OPTIONS)(step, model);
  const { metrics } = weigh(step, logps);
  expect(metrics["rewards/chosen"]).toBeCloseTo(0.1, 6);
  expect(metrics["rewards/rejected"]).toBeCloseTo(0.1, 6);
  expect(metrics["rewards/margins"]).toBeCloseTo(0, 6);
  expect(metrics["logps/chosen"]).toBeCloseTo(-3, 6);
});

test("a step in parts gives the weights and figures of the whole", async () => {
  const weigh = await unpairedLoss(rated, OPTIONS)(step, model);
  const whole = weigh(step, logps);
  const parts = step.map((example, i) => weigh([example], logps.slice(i, i + 1)));
  expect(parts.flatMap(({ gradients }) => [...gradients])).toEqual(whole.gradients);
  for (const [name, value] of Object.entries(whole.metrics)) {
    const sum = parts.reduce((total, { metrics }) => total + (metrics[name] ?? 0), 0);
    expect(sum).toBeCloseTo(value, 10);
  }
});

test("a step of one kind only has no margin and stays finite", async () => {
  const liked = step.slice(0, 2);
  const weigh = await unpairedLoss(rated, OPTIONS)(liked, model);
  const { metrics } = weigh(liked, logps.slice(0, 2));
  expect(metrics["rewards/margins"]).toBeUndefined();
  expect(metrics["rewards/rejected"]).toBeUndefined();
  for (const value of Object.values(metrics)) expect(value).toSatisfy(Number.isFinite);
});

test("a step as long as an evaluation asks for no more than 64 samples", async () => {
  const many = Array.from({ length: 1000 }, (_, i) => exampleOf(i));
  const all = new Map(many.map((example) => [example, [...rated.values()][0] as RatedExample]));
  model.asked = [];
  await unpairedLoss(all, OPTIONS)(many, model);
  expect(model.asked).toHaveLength(64);
});

test("a weight of 0, which would leave one side unlearnt, is refused", () => {
  expect(() => unpairedLoss(rated, { ...OPTIONS, desirableWeight: 0 })).toThrow(/desirableWeight/);
});
