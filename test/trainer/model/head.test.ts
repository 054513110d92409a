/** Log-probabilities below what softmax can hold. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";
import { openTrainable } from "#trainer/model/open-trainable.ts";
import type { Trainable } from "#trainer/model/trainable.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { randomSequences } from "./sequences.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "zephyr-head-"));
  writeRandomModel(join(folder, "model.gguf"), { libraries: cpuLibraries(), tied: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(): Trainable {
  return openTrainable({
    ggufPath: join(folder, "model.gguf"),
    lora: null,
    precision: "f32",
    threads: 1,
    maxTokensPerBatch: 256,
    libraries: cpuLibraries(),
  });
}

/** Multiplies all logits. */
function sharpen(trainable: Trainable, factor: number): void {
  const name = "output_norm.weight";
  trainable.writeParameter(
    name,
    trainable.readParameter(name).map((each) => factor * each),
  );
}

it("stay finite for logits of which softmax leaves nothing, and so do their gradients", async () => {
  using trainable = open();
  sharpen(trainable, 400);
  const batch = randomSequences([12, 9], trainable.shape.nVocab, SeededRandom.from(8));
  const logps = await trainable.logps(batch);
  const all = logps.flatMap((list) => [...list]);
  expect(all.every(Number.isFinite)).toBe(true);
  expect(Math.min(...all)).toBeLessThan(-200);
  const scored = await trainable.forwardBackward(batch, (lists) =>
    lists.map((list) => list.map(() => 1)),
  );
  expect(scored).toEqual(logps);
  expect(Number.isFinite(trainable.gradientNorm())).toBe(true);
  expect(trainable.gradientNorm()).toBeGreaterThan(0);
});

it("grow evenly with the logits, above and below what softmax holds", async () => {
  using trainable = open();
  const batch = randomSequences([40], trainable.shape.nVocab, SeededRandom.from(8));
  const found: number[] = [];
  sharpen(trainable, 10);
  for (const factor of [1, 1.5, 2, 2.5, 3]) {
    sharpen(trainable, factor);
    const [logps = new Float32Array()] = await trainable.logps(batch);
    found.push(Math.min(...logps));
    sharpen(trainable, 1 / factor);
  }
  expect(found[0]).toBeGreaterThan(-80);
  expect(found.at(-1)).toBeLessThan(-100);
  const slopes = found.slice(1).map((each, i) => (found[i] ?? 0) - each);
  expect(Math.max(...slopes) / Math.min(...slopes)).toBeLessThan(1.05);
});
