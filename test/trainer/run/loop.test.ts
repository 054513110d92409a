import { mkdtempSync, readdirSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";
import { type Example, longest, scoredRange } from "#trainer/data/sequence.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { TRAIN_DEFAULTS, type TrainOptions } from "#trainer/run/run.ts";
import { type LanguageModelRun, trainLanguageModel } from "#trainer/run/sft.ts";
import { Bigram } from "./bigram.ts";

const SIZE = 9;
const OPTIONS: TrainOptions = {
  ...TRAIN_DEFAULTS,
  learningRate: 0.3,
  epochs: 3,
  batchSize: 4,
  maxTokensPerBatch: 64,
  checkpointEverySteps: 3,
  evalEverySteps: 5,
};

/** Sequences that count upwards, of several lengths: what follows each token can be learnt. */
function countingExamples(count: number, seed: number): Example[] {
  const random = SeededRandom.from(seed);
  return Array.from({ length: count }, (_, i) => {
    const length = 3 + random.below(9);
    const first = random.below(SIZE);
    const tokens = Int32Array.from({ length }, (_, at) => (first + at) % SIZE);
    return { id: `count-${i}`, sequences: [scoredRange(tokens, 1, length)], weight: 1 };
  });
}

const examples = countingExamples(18, 1);
const evalExamples = countingExamples(5, 2);

type BigramRun = LanguageModelRun & { readonly model: Bigram };

function newRun(overrides: Partial<BigramRun> = {}): BigramRun {
  const runDir = mkdtempSync(join(tmpdir(), "loop-"));
  const model = new Bigram(SIZE);
  return { model, runDir, examples, evalExamples, options: OPTIONS, ...overrides };
}

/** Metrics without what the clock decides. */
function figures(runDir: string) {
  return readMetrics(join(runDir, "metrics.jsonl")).map(
    ({ tokens_per_second: _, ...line }) => line,
  );
}

const whole = newRun();
const wholeOutcome = await trainLanguageModel(whole);

describe("a run left alone", () => {
  test("learns: the evaluation's loss at the end is below half of the first step's", () => {
    const [first] = figures(whole.runDir);
    expect(wholeOutcome.status).toBe("finished");
    expect(wholeOutcome.metrics?.["eval_loss"]).toBeLessThan((first?.["loss"] ?? 0) / 2);
  });

  test("writes TRL's names for every step, and evaluates when it is due", () => {
    const lines = figures(whole.runDir);
    const steps = lines.filter((line) => "loss" in line);
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
    expect(Object.keys(steps[0] ?? {})).toEqual([
      "step",
      "epoch",
      "loss",
      "grad_norm",
      "learning_rate",
      "num_tokens",
    ]);
    const evaluated = lines.filter((line) => "eval_loss" in line);
    expect(evaluated.map(({ step }) => step)).toEqual([5, 10, 15]);
    expect(steps.at(-1)?.["epoch"]).toBe(3);
  });

  test("keeps the two newest checkpoints", () => {
    expect(readdirSync(join(whole.runDir, "checkpoints"))).toEqual([
      "step-00000012.checkpoint",
      "step-00000015.checkpoint",
    ]);
  });

  test("reports how much of the computation was padding", async () => {
    const options = { ...OPTIONS, epochs: 1, maxTokensPerBatch: 32 };
    const { paddingFraction } = await trainLanguageModel(newRun({ options }));
    const tokens = examples.reduce((sum, { sequences }) => sum + longest(sequences), 0);
    const computed = examples.length * 32; // Each of these short sequences is alone in its batch.
    expect(paddingFraction).toBeCloseTo(1 - tokens / computed, 12);
  });

  test("called again has nothing left to do and changes nothing", async () => {
    const model = new Bigram(SIZE);
    const before = figures(whole.runDir);
    const again = await trainLanguageModel({ ...whole, model });
    expect(again).toMatchObject({ status: "finished", resumedFrom: 15, metrics: undefined });
    expect(model.passes).toBe(0);
    expect(model.readParameter()).toEqual(whole.model.readParameter());
    expect(figures(whole.runDir)).toEqual(before);
  });
});

describe("exact resume", () => {
  test("aborted after any micro-batches, a run resumes to bit-identical parameters and figures", async () => {
    const stops = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(stops, async (passes) => {
        const run = newRun();
        for (const after of passes) await abortAfter(run, after);
        const model = new Bigram(SIZE);
        expect((await trainLanguageModel({ ...run, model })).status).toBe("finished");
        expect(model.readParameter()).toEqual(whole.model.readParameter());
        expect(model.readOptimizer()).toEqual(whole.model.readOptimizer());
        expect(figures(run.runDir)).toEqual(figures(whole.runDir));
      }),
      { numRuns: 12 },
    );
  });

  test("killed without warning, it goes on from the last checkpoint to the same end", async () => {
    const run = newRun();
    const onStep = ({ step }: { step: number }): void => {
      if (step === 8) throw new Error("killed");
    };
    await expect(trainLanguageModel({ ...run, onStep })).rejects.toThrow("killed");
    const model = new Bigram(SIZE);
    const outcome = await trainLanguageModel({ ...run, model });
    expect(outcome.resumedFrom).toBe(6);
    expect(model.readParameter()).toEqual(whole.model.readParameter());
    expect(figures(run.runDir)).toEqual(figures(whole.runDir));
  });

  test("a torn checkpoint is noticed, and the one before taken", async () => {
    const run = newRun();
    await abortAfter(run, 24);
    const { newest, folder } = newestCheckpoint(run.runDir);
    truncateSync(join(folder, newest), 300);
    const model = new Bigram(SIZE);
    const outcome = await trainLanguageModel({ ...run, model });
    expect(outcome.damagedCheckpoints).toEqual([newest]);
    expect(outcome.resumedFrom).toBeGreaterThan(0);
    expect(model.readParameter()).toEqual(whole.model.readParameter());
  });

  test("when every checkpoint is torn, it says so instead of starting over silently", async () => {
    const run = newRun();
    await abortAfter(run, 24);
    const { folder } = newestCheckpoint(run.runDir);
    for (const file of readdirSync(folder)) truncateSync(join(folder, file), 40);
    await expect(trainLanguageModel(run)).rejects.toMatchObject({ code: "checkpoint_corrupt" });
  });

  test("a checkpoint of other data or options is refused", async () => {
    const run = newRun();
    await abortAfter(run, 9);
    const options = { ...OPTIONS, learningRate: 0.4 };
    const other = { code: "checkpoint_mismatch" };
    await expect(trainLanguageModel({ ...run, options })).rejects.toMatchObject(other);
    const fewer = examples.slice(1);
    await expect(trainLanguageModel({ ...run, examples: fewer })).rejects.toMatchObject(other);
  });
});

test("accumulated micro-batches give the gradient of the whole step", async () => {
  const roomy = newRun({ options: { ...OPTIONS, maxTokensPerBatch: 4096 } });
  await trainLanguageModel(roomy);
  expect(roomy.model.passes).toBeLessThan(whole.model.passes);
  const expected = whole.model.readParameter();
  roomy.model.readParameter().forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 4);
  });
});

test("a loss that is no number stops the run with the examples' ids and keeps earlier checkpoints", async () => {
  const run = newRun({ options: { ...OPTIONS, learningRate: 3e38, warmupRatio: 0 } });
  await expect(trainLanguageModel(run)).rejects.toMatchObject({
    code: "training_diverged",
    message: expect.stringMatching(/at step \d+, on count-\d+/),
  });
});

test("an evaluation whose loss is no number stops the run with the ids of that batch", async () => {
  const model = new Bigram(SIZE);
  const logps = model.logps.bind(model);
  model.logps = async (batch) =>
    (await logps(batch)).map((list, i) =>
      batch[i] === lastHeldOut ? list.fill(Number.NaN) : list,
    );
  const lastHeldOut = evalExamples.at(-1)?.sequences[0];
  const run = newRun({ model });
  await expect(trainLanguageModel(run)).rejects.toMatchObject({
    code: "training_diverged",
    message: expect.stringContaining("count-4"),
  });
});

test("where a step takes seconds each one is saved, since its pass cannot be interrupted", async () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const model = new Bigram(SIZE, () => {
    nowMs += 6_000;
  });
  const options = { ...OPTIONS, checkpointEverySteps: 1_000 };
  const run = newRun({ model, options, clock });
  const onStep = ({ step }: { step: number }): void => {
    if (step === 4) throw new Error("killed");
  };
  await expect(trainLanguageModel({ ...run, onStep })).rejects.toThrow("killed");
  const resumed = new Bigram(SIZE);
  expect((await trainLanguageModel({ ...run, model: resumed })).resumedFrom).toBe(4);
  expect(resumed.readParameter()).toEqual(whole.model.readParameter());
});

test("other work of the process gets its turn between micro-batches", async () => {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 0);
  const run = newRun({ options: { ...OPTIONS, epochs: 30 } });
  await trainLanguageModel(run);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});

test("a time limit ends the run, the learning rate having fallen towards it", async () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const onStep = (): void => {
    nowMs += 100;
  };
  const options = { ...OPTIONS, epochs: 1000, timeLimitMs: 1000, decay: "linear" as const };
  const run = newRun({ options, clock, onStep, evalExamples: [] });
  const outcome = await trainLanguageModel(run);
  expect(outcome).toMatchObject({ status: "time_limit", step: 10 });
  const rates = figures(run.runDir).map((line) => line["learning_rate"] ?? 0);
  expect(rates.at(-1)).toBeCloseTo(0.3 * (0.1 / 0.9), 6);
});

test("no data at all is data_too_small", async () => {
  const run = newRun({ examples: [] });
  await expect(trainLanguageModel(run)).rejects.toMatchObject({ code: "data_too_small" });
});

/** Runs with a fresh model until it has done some passes, then aborts as a signal handler would. */
async function abortAfter(run: LanguageModelRun, passes: number): Promise<void> {
  const controller = new AbortController();
  const model = new Bigram(SIZE, (done) => {
    if (done >= passes) controller.abort();
  });
  const outcome = await trainLanguageModel({ ...run, model, signal: controller.signal });
  expect(["aborted", "finished"]).toContain(outcome.status);
}

function newestCheckpoint(runDir: string): { folder: string; newest: string } {
  const folder = join(runDir, "checkpoints");
  return { folder, newest: readdirSync(folder).toSorted().at(-1) ?? "" };
}
