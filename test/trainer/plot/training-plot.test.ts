import { expect, test } from "vitest";
import { plotTraining } from "#trainer/plot/training-plot.ts";

const steps = Array.from({ length: 2000 }, (_, i) => i + 1);
const dpo = steps.flatMap((step) => [
  {
    step,
    loss: 0.69 * Math.exp(-step / 900),
    "rewards/accuracies": 1 - 0.5 * Math.exp(-step / 500),
    "rewards/margins": step / 1000,
  },
  ...(step % 200 === 0 ? [{ step, eval_loss: 0.6, "eval_rewards/accuracies": 0.7 }] : []),
]);

test("a preference run has panels of loss, accuracy and margin, an sft run of the loss alone", () => {
  const titles = (svg: string) =>
    [...svg.matchAll(/font-weight="600"[^>]*>([^<]+)/g)].map(([, t]) => t);
  expect(titles(plotTraining(dpo))).toEqual(["Loss", "Preferences shared", "Reward margin"]);
  expect(titles(plotTraining([{ step: 1, loss: 2 }]))).toEqual(["Loss"]);
  expect(titles(plotTraining([]))).toEqual(["Loss"]);
});

test("the picture's size does not grow with the run", () => {
  expect(plotTraining(dpo).length).toBeLessThan(40_000);
});

test("every point lies within its panel, whatever the figures", () => {
  const wild = [0, -3e8, Number.NaN, Number.POSITIVE_INFINITY, 1e-9, 4].map((loss, i) => ({
    step: i + 1,
    loss,
  }));
  const svg = plotTraining(wild);
  expect(svg).not.toMatch(/NaN|Infinity/);
  const points = [...svg.matchAll(/points="([^"]+)"/g)].flatMap(([, list = ""]) => list.split(" "));
  expect(points).toHaveLength(4);
  for (const point of points) {
    const [x = Number.NaN, y = Number.NaN] = point.split(",").map(Number);
    expect(x).toBeGreaterThanOrEqual(64);
    expect(x).toBeLessThanOrEqual(704);
    expect(y).toBeGreaterThanOrEqual(34);
    expect(y).toBeLessThanOrEqual(194);
  }
});

test("a figure that is always the same is drawn as a level line, and one step as a dot", () => {
  expect(plotTraining([1, 2].map((step) => ({ step, loss: 2 })))).toMatch(
    /points="64\.0,114\.0 704\.0,114\.0"/,
  );
  expect(plotTraining([{ step: 1, loss: 2 }])).toContain("<circle");
});

test("no colour is fixed to one ground: nothing is black, white or filled behind", () => {
  expect(plotTraining(dpo)).not.toMatch(/#000|#fff|black|white|<rect/i);
});
