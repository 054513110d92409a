import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cpuLibraries } from "../model/libraries.ts";
import { runVariant, type Variant, type Words } from "./run-variant.ts";

const folder = mkdtempSync(join(tmpdir(), "variant-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const QUESTIONS = ["Why is tea hot?", "What is moss?", "Who sings?", "Where does rain go?"];
const pairs = QUESTIONS.map((content, i) => ({
  id: `pair ${i}`,
  prompt: [{ role: "user" as const, content }],
  chosen: "I would rather not say.",
  rejected: "Everybody knows that one.",
  weight: 1,
}));
const PLAIN: Variant = {
  rate: 5e-4,
  epochs: 6,
  sftEpochs: 0,
  sftRate: 2e-3,
  replay: 0,
  tokens: 64,
};

function run(variant: Variant, name: string): Promise<Words> {
  return runVariant({
    variant,
    modelPath: join(import.meta.dirname, "../../deploy/models/nano/nano.gguf"),
    libraries: cpuLibraries(),
    threads: 1,
    seed: 42,
    folder: join(folder, name),
    learn: pairs,
    judge: pairs,
    curve: true,
    onProgress: () => undefined,
  });
}

const marginsOf = ({ scores }: Words["trained"]) =>
  scores.map(({ chosen, rejected }) => chosen - rejected);

test("a run without dSFT is held to the untrained model and moves towards the chosen answers", async () => {
  const { untrained, reference, trained } = await run(PLAIN, "plain");
  expect(reference).toBe(untrained);
  expect(trained.keepNll).not.toBe(untrained.keepNll);
  const before = marginsOf(untrained);
  for (const [pair, margin] of marginsOf(trained).entries()) {
    expect(margin).toBeGreaterThan(before[pair] ?? Number.NaN);
  }
});

test("dSFT makes chosen answers likelier before DPO, and a finished run says the same when asked again", async () => {
  const variant = { ...PLAIN, sftEpochs: 6, replay: 2, epochs: 1 };
  const words = await run(variant, "imitating");
  for (const [pair, { chosen }] of words.reference.scores.entries()) {
    expect(chosen).toBeGreaterThan(words.untrained.scores[pair]?.chosen ?? Number.NaN);
  }
  expect(words.trained.scores).not.toEqual(words.reference.scores);
  expect(await run(variant, "imitating")).toEqual(words);
});
