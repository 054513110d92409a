import { expect, test } from "vitest";
import { remarksOn } from "#trainer/nightly/training-stage.ts";
import { NOT_BEGUN } from "#trainer/run/preparation.ts";

const settings = { dpo: { maxTokens: 512, maxPromptTokens: 256, maxTokensPerBatch: 1024 } };
const sound = { ...NOT_BEGUN, cut: 0 };

test("a training that went by the book leaves no remark", () => {
  expect(remarksOn(sound, settings)).toEqual([]);
});

test("damaged checkpoints are named with the step that training went on from", () => {
  const damagedCheckpoints = ["step-000020.checkpoint"];
  const remarks = remarksOn({ ...sound, damagedCheckpoints, resumedFrom: 10 }, settings);
  expect(remarks).toEqual([expect.stringMatching(/step-000020\.checkpoint.*went on from step 10/)]);
});

test("what had to be shortened is counted, with the length that it had to fit", () => {
  expect(remarksOn({ ...sound, cut: 3 }, settings)).toEqual([
    expect.stringMatching(/^3 .* 512 tokens/),
  ]);
});
