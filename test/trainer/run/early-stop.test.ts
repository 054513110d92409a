import { existsSync, mkdtempSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Example, scoredRange } from "#trainer/data/sequence.ts";
import { type EarlyStop, judgeEvaluations } from "#trainer/run/early-stop.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { TRAIN_DEFAULTS } from "#trainer/run/run.ts";
import { type LanguageModelRun, trainLanguageModel } from "#trainer/run/sft.ts";
import { Bigram } from "./bigram.ts";

const LOWEST: EarlyStop = { figure: "eval_loss", goal: "lowest", patience: 2, minDelta: 0 };

function judge(values: readonly number[], options: Partial<EarlyStop> = {}) {
  return judgeEvaluations(
    { ...LOWEST, ...options },
    values.map((value, i) => ({ step: 10 * (i + 1), value })),
  );
}

describe("the verdict on evaluations", () => {
  test("is over after as many evaluations without a new best as patience allows", () => {
    expect(judge([3, 2, 2.5])).toMatchObject({ best: { step: 20, value: 2 }, isOver: false });
    expect(judge([3, 2, 2.5, 2.1])).toMatchObject({ best: { step: 20 }, isOver: true });
    expect(judge([3, 2, 2.5, 1.9, 4])).toMatchObject({ best: { step: 40 }, isOver: false });
  });

  test("takes a higher figure for better where that is the goal", () => {
    expect(judge([0.5, 0.7, 0.6], { goal: "highest" }).best).toEqual({ step: 20, value: 0.7 });
  });

  test("does not call equal or barely better figures a new best", () => {
    expect(judge([2, 2, 2])).toMatchObject({ best: { step: 10 }, isOver: true });
    expect(judge([2, 1.95, 1.91], { minDelta: 0.1 })).toMatchObject({ best: { step: 10 } });
    expect(judge([2, 1.95, 1.89], { minDelta: 0.1 })).toMatchObject({ best: { step: 30 } });
  });

  test("never takes a figure that is missing or no number for the best", () => {
    expect(judge([Number.NaN, 3])).toMatchObject({ best: { step: 20 }, isOver: false });
    expect(judge([Number.NaN, Number.NaN])).toMatchObject({ best: undefined, isOver: true });
  });

  test("says nothing before the first evaluation", () => {
    expect(judge([])).toEqual({ best: undefined, before: undefined, isOver: false });
  });
});

const SIZE = 9;

/** What is trained on counts up, what is held out counts up but for its end: the fit is too good at last. */
function counting(count: number, turn: number): Example[] {
  return Array.from({ length: count }, (_, i) => {
    const tokens = Int32Array.from(
      { length: 7 },
      (_, at) => (at < turn ? i + at : i - at + 9) % SIZE,
    );
    return { id: `c${turn}-${i}`, sequences: [scoredRange(tokens, 1, tokens.length)], weight: 1 };
  });
}

const OPTIONS = {
  ...TRAIN_DEFAULTS,
  learningRate: 0.15,
  decay: "constant",
  warmupRatio: 0,
  epochs: 20,
  batchSize: 4,
  maxTokensPerBatch: 64,
  checkpointEverySteps: 3,
  evalEverySteps: 2,
  earlyStop: LOWEST,
} as const;

type BigramRun = LanguageModelRun & { readonly model: Bigram };

function newRun(overrides: Partial<BigramRun> = {}): BigramRun {
  const runDir = mkdtempSync(join(tmpdir(), "early-"));
  const model = new Bigram(SIZE);
  const [examples, evalExamples] = [counting(16, 7), counting(9, 5)];
  return { model, runDir, examples, evalExamples, options: OPTIONS, ...overrides };
}

const evaluations = (runDir: string) =>
  readMetrics(join(runDir, "metrics.jsonl")).flatMap(({ step, ["eval_loss"]: value }) =>
    value === undefined ? [] : [{ step, value }],
  );

const whole = newRun();
const outcome = await trainLanguageModel(whole);

describe("a run that overfits", () => {
  test("ends before its time, with the parameters of its best evaluation", async () => {
    expect(outcome.status).toBe("early_stop");
    expect(outcome.step).toBeLessThan(outcome.totalSteps);
    const lowest = evaluations(whole.runDir).toSorted((a, b) => a.value - b.value)[0];
    expect(outcome.best).toEqual(lowest);
    expect(outcome.best?.step).toBe(outcome.step - 4);
    const steps = outcome.best?.step ?? 0;
    const { earlyStop: _, ...options } = OPTIONS;
    const until = newRun({ options: { ...options, epochs: steps / 4 } });
    await trainLanguageModel(until);
    expect(whole.model.readParameter()).toEqual(until.model.readParameter());
  });

  test("says the same when it is asked again", async () => {
    const again = newRun({ runDir: whole.runDir });
    expect(await trainLanguageModel(again)).toMatchObject({
      status: "early_stop",
      step: outcome.step,
      best: outcome.best,
    });
    expect(again.model.passes).toBe(0);
    expect(again.model.readParameter()).toEqual(whole.model.readParameter());
  });

  test("interrupted anywhere, by a signal or without warning, ends with the same step and parameters", async () => {
    const stops = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.boolean()), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(stops, async (given) => {
        const run = newRun();
        for (const [passes, warned] of given) await interrupt(run, passes, warned);
        const model = new Bigram(SIZE);
        const ended = await trainLanguageModel({ ...run, model });
        expect(ended).toMatchObject({ status: "early_stop", step: outcome.step });
        expect(ended.best).toEqual(outcome.best);
        expect(model.readParameter()).toEqual(whole.model.readParameter());
        expect(evaluations(run.runDir)).toEqual(evaluations(whole.runDir));
      }),
      { numRuns: 20 },
    );
  });

  test("whose newest checkpoint is torn takes the one before and ends the same", async () => {
    const run = newRun();
    await interrupt(run, outcome.step - 1, true);
    const folder = join(run.runDir, "checkpoints");
    truncateSync(join(folder, readdirSync(folder).toSorted().at(-1) ?? ""), 200);
    const model = new Bigram(SIZE);
    const ended = await trainLanguageModel({ ...run, model });
    expect(ended.damagedCheckpoints).toHaveLength(1);
    expect(ended).toMatchObject({ step: outcome.step, best: outcome.best });
    expect(model.readParameter()).toEqual(whole.model.readParameter());
  });

  test("leaves a plot beside its figures", () => {
    expect(existsSync(join(whole.runDir, "metrics.svg"))).toBe(true);
    expect(readFileSync(join(whole.runDir, "metrics.svg"), "utf8")).toContain("held out");
  });
});

/** Runs until the model has done some passes; then aborts, or dies behind the next step. */
async function interrupt(run: BigramRun, passes: number, warned: boolean): Promise<void> {
  const controller = new AbortController();
  const model = new Bigram(SIZE, (done) => {
    if (done >= passes && warned) controller.abort();
  });
  const onStep = (): void => {
    if (model.passes >= passes && !warned) throw new Error("killed");
  };
  const { signal } = controller;
  await trainLanguageModel({ ...run, model, onStep, signal }).catch((error: unknown) => {
    if (!(error instanceof Error) || error.message !== "killed") throw error;
  });
}
