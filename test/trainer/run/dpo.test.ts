import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Vocabulary } from "#engine/llama/vocabulary.ts";
import { encodePairs } from "#trainer/data/chat.ts";
import type { PreferencePair } from "#trainer/data/preference.ts";
import { scoredTokens, sequenceLogp } from "#trainer/data/sequence.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { type DpoRun, trainDpo } from "#trainer/run/dpo.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { Bigram } from "./bigram.ts";

const folder = mkdtempSync(join(tmpdir(), "dpo-"));
const libraries = cpuLibraries();
writeRandomModel(join(folder, "model.gguf"), { libraries });
const vocabulary = Vocabulary.open(join(folder, "model.gguf"), libraries);

/** Short answers win over long ones. */
const pairs: PreferencePair[] = ["tea", "rain", "chess", "bread", "moss", "keys"].map(
  (topic, i) => ({
    id: `pair-${topic}`,
    prompt: [{ role: "user", content: `What of ${topic}?` }],
    chosen: `${topic} is fine.`,
    rejected: `Well, ${topic}, you see, is a thing of many sides and more words.`,
    weight: i % 2 === 0 ? 1 : 0.5,
  }),
);

function newRun(overrides: Partial<DpoRun> = {}): DpoRun & { readonly model: Bigram } {
  const model = new Bigram(vocabulary.size);
  const runDir = mkdtempSync(join(folder, "run-"));
  const options = { learningRate: 0.05, epochs: 4, batchSize: 2, maxTokensPerBatch: 512 };
  return {
    runDir,
    vocabulary,
    pairs: pairs.slice(0, 5),
    evalPairs: pairs.slice(5),
    modelSha256: "a".repeat(64),
    options,
    ...overrides,
    model,
  };
}

function lines(run: DpoRun) {
  return readMetrics(join(run.runDir, "metrics.jsonl"));
}

const trained = newRun();
const outcome = await trainDpo(trained);

test("the first step stands at ln 2 with no margin, since policy and reference agree", () => {
  const [first] = lines(trained);
  expect(first?.["loss"]).toBeCloseTo(Math.LN2, 6);
  expect(first?.["rewards/margins"]).toBeCloseTo(0, 6);
});

test("training raises margins and accuracies, on held-out pairs too", () => {
  const last = lines(trained).findLast((line) => "loss" in line);
  expect(outcome.status).toBe("finished");
  expect(last?.["rewards/margins"]).toBeGreaterThan(0.1);
  expect(last?.["rewards/accuracies"]).toBe(1);
  expect(outcome.metrics?.["eval_rewards/accuracies"]).toBe(1);
  expect(outcome.metrics?.["eval_loss"]).toBeLessThan(Math.LN2);
});

test("metrics go by TRL's names", () => {
  expect(Object.keys(lines(trained)[0] ?? {})).toEqual(
    expect.arrayContaining([
      "loss",
      "rewards/chosen",
      "rewards/rejected",
      "rewards/accuracies",
      "rewards/margins",
      "logps/chosen",
      "logps/rejected",
      "grad_norm",
      "learning_rate",
      "epoch",
    ]),
  );
});

test("the held-out margin is β times what policy and reference say of both answers", async () => {
  const limits = { maxTokens: 256, maxPromptTokens: 128 };
  const sequences = encodePairs(vocabulary, pairs.slice(5), limits).examples[0]?.sequences ?? [];
  const policy = (await trained.model.logps(sequences)).map(sequenceLogp);
  const reference = (await trained.model.logps(sequences, { reference: true })).map(sequenceLogp);
  const [chosen = 0, rejected = 0] = policy.map((logp, i) => logp - (reference[i] ?? 0));
  expect(outcome.metrics?.["eval_rewards/margins"]).toBeCloseTo(0.1 * (chosen - rejected), 6);
  expect(outcome.metrics?.["eval_logps/chosen"]).toBeCloseTo(policy[0] ?? 0, 6);
});

test("the reference is computed once: a second run on the same pairs asks the model for none", async () => {
  const cachePath = join(folder, "shared.jsonl");
  const asked: number[] = [];
  const counting = (run: DpoRun & { readonly model: Bigram }): DpoRun => ({
    ...countingReference(run, asked),
    referenceCachePath: cachePath,
  });
  await trainDpo(counting(newRun()));
  expect(asked.reduce((sum, n) => sum + n, 0)).toBe(12);
  asked.length = 0;
  await trainDpo(counting(newRun()));
  expect(asked).toEqual([]);
  const edited = pairs.slice(0, 5).map((pair, i) => (i === 0 ? { ...pair, chosen: "No." } : pair));
  await trainDpo(counting(newRun({ pairs: edited })));
  expect(asked).toEqual([2]);
  asked.length = 0;
  await trainDpo(counting(newRun({ modelSha256: "b".repeat(64) })));
  expect(asked.reduce((sum, n) => sum + n, 0)).toBe(12);
});

test("aborted while the reference is computed, it keeps what it has and starts there again", async () => {
  const options = { maxTokensPerBatch: 200, maxTokens: 100, maxPromptTokens: 50 };
  const asked: number[] = [];
  const run = countingReference(newRun({ options }), asked);
  const controller = new AbortController();
  const onProgress = (): void => controller.abort();
  const aborted = await trainDpo({ ...run, onProgress, signal: controller.signal });
  expect(aborted).toMatchObject({ status: "aborted", step: 0 });
  const before = asked.reduce((sum, n) => sum + n, 0);
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(12);
  expect((await trainDpo(run)).status).toBe("finished");
  expect(asked.reduce((sum, n) => sum + n, 0)).toBe(12);
});

/** The run, noting how many sequences the model is asked about as the reference. */
function countingReference(run: DpoRun & { readonly model: Bigram }, asked: number[]): DpoRun {
  const { model } = run;
  const logps = model.logps.bind(model);
  model.logps = (batch, options) => {
    if (options?.reference === true) asked.push(batch.length);
    return logps(batch, options);
  };
  return run;
}

test("interrupted and resumed, dpo ends with the same parameters", async () => {
  const run = newRun();
  const controller = new AbortController();
  const model = new Bigram(vocabulary.size, (passes) => {
    if (passes === 5) controller.abort();
  });
  expect((await trainDpo({ ...run, model, signal: controller.signal })).status).toBe("aborted");
  const resumed = new Bigram(vocabulary.size);
  expect((await trainDpo({ ...run, model: resumed })).resumedFrom).toBe(5);
  expect(resumed.readParameter()).toEqual(trained.model.readParameter());
});

test("with an RPO term the chosen's NLL per token is reported and added to the loss", async () => {
  const run = newRun({ options: { rpoAlpha: 0.5, epochs: 1, batchSize: 5 } });
  await trainDpo(run);
  const [first] = lines(run);
  expect(first?.["nll_loss"]).toBeGreaterThan(0);
  const chosen = await untrainedNll();
  expect(first?.["nll_loss"]).toBeCloseTo(chosen.nll, 5);
  expect(first?.["loss"]).toBeCloseTo(Math.LN2 + 0.5 * chosen.weightedNll, 5);
});

/** What the untrained table says of the five chosen answers: mean NLL per token, plain and by weight. */
async function untrainedNll() {
  const limits = { maxTokens: 256, maxPromptTokens: 128 };
  const { examples } = encodePairs(vocabulary, pairs.slice(0, 5), limits);
  const model = new Bigram(vocabulary.size);
  const rows: { weight: number; nll: number }[] = [];
  for (const {
    sequences: [sequence],
    weight,
  } of examples) {
    if (sequence === undefined) continue;
    const [logps = new Float32Array()] = await model.logps([sequence]);
    rows.push({ weight, nll: -sequenceLogp(logps) / scoredTokens(sequence) });
  }
  const weights = rows.reduce((sum, { weight }) => sum + weight, 0);
  return {
    nll: rows.reduce((sum, { nll }) => sum + nll, 0) / rows.length,
    weightedNll: rows.reduce((sum, { nll, weight }) => sum + nll * weight, 0) / weights,
  };
}

test("too few pairs is data_too_small, saying how many were needed and found", async () => {
  const same = { ...(pairs[0] ?? { id: "", prompt: [], weight: 1 }), chosen: "a", rejected: "a" };
  const run = newRun({ pairs: [...pairs.slice(0, 2), same], options: { minPairs: 24 } });
  await expect(trainDpo(run)).rejects.toMatchObject({
    code: "data_too_small",
    message: expect.stringContaining("at least 24 usable preference pairs, found 2 of 3"),
  });
});

test("pairs of NaN weight stop the run, named", async () => {
  const bad = pairs.map((pair, i) => (i === 3 ? { ...pair, weight: Number.NaN } : pair));
  await expect(trainDpo(newRun({ pairs: bad, evalPairs: [] }))).rejects.toMatchObject({
    code: "training_diverged",
    message: expect.stringContaining("pair-bread"),
  });
});

test("people's keys change no figure, only what words are found by in the run's files", async () => {
  const plain = trained;
  const sealed = newRun({ seal: KeyRing.beside(":memory:") });
  await trainDpo(sealed);
  const figures = (run: DpoRun) => lines(run).map(({ tokens_per_second: _, ...line }) => line);
  expect(figures(sealed)).toEqual(figures(plain));
  for (const [file, table] of [
    ["examples.db", "encodings"],
    ["reference-logps.db", "logps"],
  ] as const) {
    const [found, guessed] = [sealed, plain].map(({ runDir }) => {
      using database = new DatabaseSync(join(runDir, file), { readOnly: true });
      return database
        .prepare(`SELECT hex(key) AS key FROM ${table}`)
        .all()
        .map(({ key }) => key);
    });
    expect(found).toHaveLength(guessed?.length ?? 0);
    expect(guessed).not.toEqual([]);
    expect(found?.filter((key) => guessed?.includes(key))).toEqual([]);
  }
});
