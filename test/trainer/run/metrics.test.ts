import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MetricsLog, readMetrics, sampleMetrics } from "#trainer/run/metrics.ts";

/** A file of so many steps, evaluated at each tenth. */
function fileOf(steps: number): string {
  const path = join(mkdtempSync(join(tmpdir(), "metrics-")), "metrics.jsonl");
  const lines = Array.from({ length: steps }, (_, i) => {
    const step = i + 1;
    return [{ step, loss: 1 / step }, ...(step % 10 === 0 ? [{ step, eval_loss: step }] : [])];
  });
  writeFileSync(
    path,
    lines
      .flat()
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(""),
  );
  return path;
}

test("a sample of a short file is the whole file", () => {
  const path = fileOf(95);
  const byStep = (a: { step: number }, b: { step: number }) => a.step - b.step;
  expect(sampleMetrics(path, 100).toSorted(byStep)).toEqual(readMetrics(path).toSorted(byStep));
});

test("a sample of a long file is bounded and evenly spread, evaluations by themselves", () => {
  const sample = sampleMetrics(fileOf(20_000), 1_000);
  const steps = sample.filter((line) => "loss" in line).map(({ step }) => step);
  const evaluations = sample.filter((line) => "eval_loss" in line).map(({ step }) => step);
  for (const found of [steps, evaluations]) {
    expect(found.length).toBeGreaterThan(500);
    expect(found.length).toBeLessThanOrEqual(1_000);
    const gaps = new Set(found.slice(1).map((step, i) => step - (found[i] ?? 0)));
    expect(gaps.size).toBe(1);
  }
});

test("opened again at a step, lines past it are gone and its evaluations are known", () => {
  const path = fileOf(50);
  writeFileSync(path, `${readFileSync(path, "utf8")}{"step": 51, "lo`);
  const log = new MetricsLog(path, 25);
  expect(log.evaluations.map(({ step }) => step)).toEqual([10, 20]);
  expect(readMetrics(path).map(({ step }) => step)).toHaveLength(27);
  log.append({ step: 26, eval_loss: 1 });
  expect(log.evaluations).toHaveLength(3);
  expect(readMetrics(path).at(-1)).toEqual({ step: 26, eval_loss: 1 });
});
