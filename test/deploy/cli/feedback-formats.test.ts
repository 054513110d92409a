import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { smallWorld, taste } from "../../trainer/nightly/small-world.ts";
import { runZephyr } from "../start/running-zephyr.ts";

const world = smallWorld(taste(30));
const exported = (settings: Record<string, string>, ...args: string[]) =>
  runZephyr({ ...world.settings, ...settings }, "feedback", "export", "--json", ...args);

function rows(folder: string, split: string): Record<string, unknown>[] {
  const text = readFileSync(join(folder, `${split}.jsonl`), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("the pairs of a training come out as TRL's, both sides of the split, with card and recipe", async () => {
  const folder = join(world.dataDir, "trl");
  const { code, stdout } = await exported(
    {},
    "--format",
    "trl",
    "--out",
    folder,
    "--base-model",
    "a/b",
  );
  expect(code).toBe(0);
  const result = JSON.parse(stdout.trim());
  expect(result).toMatchObject({ event: "result", status: "exported", folder, format: "trl" });
  const [train, test] = [rows(folder, "train"), rows(folder, "test")];
  expect([train.length, test.length]).toEqual([result.train, result.test]);
  expect(train.length + test.length).toBeGreaterThanOrEqual(30);
  expect(test[0]).toMatchObject({
    prompt: [{ role: "user", content: expect.stringMatching(/^What is number/) }],
    chosen: [{ role: "assistant", content: expect.stringMatching(/^hello you/) }],
    rejected: [{ role: "assistant", content: expect.stringMatching(/^re on er/) }],
  });
  const prompts = (side: Record<string, unknown>[]) =>
    side.map(({ prompt }) => JSON.stringify(prompt));
  const trained = new Set(prompts(train));
  expect(prompts(test).filter((prompt) => trained.has(prompt))).toEqual([]);
  expect(readFileSync(join(folder, "README.md"), "utf8")).toContain("path: train.jsonl");
  expect(readFileSync(join(folder, "recipe.yaml"), "utf8")).toContain("model_name_or_path: a/b\n");
  expect(existsSync(join(world.dataDir, "runs"))).toBe(false);
});

test("as UltraFeedback's, and as single answers for KTO", async () => {
  const feedback = join(world.dataDir, "uf");
  await exported({}, "--format", "ultrafeedback", "--out", feedback);
  expect(rows(feedback, "test_prefs")[0]).toHaveProperty("score_chosen", 1);
  const single = join(world.dataDir, "kto");
  await exported({ TRAIN_LOSS: "kto" }, "--format", "trl-unpaired", "--out", single);
  const labels = rows(single, "train").map(({ label }) => label);
  expect(new Set(labels)).toEqual(new Set([true, false]));
});

test("a format without a folder, or one that there is not, is wrong use", async () => {
  expect((await exported({}, "--format", "trl")).code).toBe(2);
  expect((await exported({}, "--format", "csv", "--out", "/tmp/never")).code).toBe(2);
});
