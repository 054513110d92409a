import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { type RunState, restoreCheckpoint, writeCheckpoint } from "#trainer/run/checkpoint.ts";
import { Bigram } from "./bigram.ts";

const SIZE = 4;
const newFolder = () => mkdtempSync(join(tmpdir(), "checkpoint-"));

function state(step: number): RunState {
  const position = { epoch: 1, batch: 2, random: [1, 2, 3, 0xffff_ffff] as const };
  return { fingerprint: "f", step, position, elapsedMs: 12.5, tokens: 77 };
}

async function trainedModel(): Promise<Bigram> {
  const model = new Bigram(SIZE);
  const sequence = { tokens: Int32Array.of(0, 1, 2, 3), scored: Uint8Array.of(0, 1, 1, 1) };
  await model.forwardBackward([sequence], (logps) => logps.map((list) => list.map(() => -1)));
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, gradientScale: 1 };
  model.step({ ...adam, learningRate: 0.1 });
  return model;
}

test("what was saved is restored: parameters, moments, place in the data, clocks", async () => {
  const folder = newFolder();
  const model = await trainedModel();
  writeCheckpoint(folder, state(5), model);
  const twin = new Bigram(SIZE);
  expect(restoreCheckpoint(folder, "f", twin)).toEqual({ state: state(5), damaged: [] });
  expect(twin.readParameter()).toEqual(model.readParameter());
  expect(twin.readOptimizer()).toEqual(model.readOptimizer());
});

test("a run that never began has no checkpoint and no error", async () => {
  const nothing = restoreCheckpoint(join(newFolder(), "absent"), "f", new Bigram(SIZE));
  expect(nothing).toEqual({ state: undefined, damaged: [] });
});

test("one flipped byte anywhere is noticed, and the checkpoint before it is taken", async () => {
  const folder = newFolder();
  writeCheckpoint(folder, state(1), await trainedModel());
  writeCheckpoint(folder, state(2), await trainedModel());
  const newest = join(folder, "step-00000002.checkpoint");
  const whole = readFileSync(newest);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ flip;
      writeFileSync(newest, damaged);
      const restored = restoreCheckpoint(folder, "f", new Bigram(SIZE));
      expect(restored.state?.step).toBe(1);
      expect(restored.damaged).toEqual(["step-00000002.checkpoint"]);
    }),
  );
});

test("a write that fails midway leaves the older checkpoints and nothing else", async () => {
  const folder = newFolder();
  writeCheckpoint(folder, state(1), await trainedModel());
  const failing = await trainedModel();
  failing.readParameter = () => {
    throw new Error("the device was lost");
  };
  expect(() => writeCheckpoint(folder, state(2), failing)).toThrow("the device was lost");
  expect(readdirSync(folder)).toEqual(["step-00000001.checkpoint"]);
});

test("what a killed process left half written is cleared away by the next checkpoint", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "step-00000001.checkpoint.99.tmp"), "half");
  writeCheckpoint(folder, state(2), await trainedModel());
  expect(readdirSync(folder)).toEqual(["step-00000002.checkpoint"]);
});

test("another run's checkpoint is a mismatch, not damage", async () => {
  const folder = newFolder();
  writeCheckpoint(folder, state(1), await trainedModel());
  try {
    restoreCheckpoint(folder, "other", new Bigram(SIZE));
    expect.unreachable();
  } catch (error) {
    expect(isCoded(error, "checkpoint_mismatch")).toBe(true);
  }
});
