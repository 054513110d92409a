/**
 * KTO against TRL's own KTOTrainer: the loss of each step and the adapter at the end, on the same weights, rated answers,
 * order and mismatched completions. One batch is a step on both sides, since TRL estimates the KL for each batch.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { NativeLibraries } from "#engine/native/library.ts";
import { sourceOf } from "#trainer/data/example-source.ts";
import { concatTokens, type Example, scoredRange } from "#trainer/data/sequence.ts";
import { DPO_DEFAULTS } from "#trainer/run/dpo.ts";
import { type RatedExample, unpairedLoss } from "#trainer/run/kto-loss.ts";
import { train } from "#trainer/run/loop.ts";
import { readMetrics } from "#trainer/run/metrics.ts";
import { referenceLogps } from "#trainer/run/reference.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { openScenario, writeAdapter } from "./own-run.ts";
import { TRL_SCRIPT } from "./python.ts";
import { drawPairs, LORA, type Scenario, writeModel } from "./scenario.ts";

/** Unlike each other, and unlike 1, so that neither can be left out. */
const WEIGHTS = { desirableWeight: 1.3, undesirableWeight: 0.9 };
const BETA = 0.3;
const BATCH = 4;
const VOCABULARY = 600;

const answerSchema = z.object({
  losses: z.array(z.number()),
  adapter: z.object({ relativeDifference: z.number(), worstLayer: z.number(), cosine: z.number() }),
});

/** Losses of each step on both sides, and how far the adapters' updates are apart at the end. */
export type KtoComparison = {
  readonly own: readonly number[];
  readonly theirs: readonly number[];
  readonly adapter: z.infer<typeof answerSchema>["adapter"];
  /** The reference point of each step, nats: where all are 0 it was not compared. */
  readonly referencePoints: readonly number[];
};

type Row = {
  readonly id: string;
  readonly prompt: Int32Array;
  readonly completion: Int32Array;
  /** The completion of the row before, round in a ring. */
  readonly mismatched: Int32Array;
  readonly isDesirable: boolean;
};

/** Trains on both sides. @throws Error with what Python said when its side fails */
export async function compareKto(python: string, steps: number): Promise<KtoComparison> {
  const folder = mkdtempSync(join(tmpdir(), "zephyr-kto-"));
  try {
    const libraries = cpuLibraries();
    const small = { nLayer: 2, nEmbd: 96, nHead: 6, nHeadKv: 2, headDim: 16, nFf: 160 };
    const shape = writeModel(folder, libraries, small, VOCABULARY);
    const options = { learningRate: 4e-3, warmupRatio: 0, batchSize: BATCH, beta: BETA };
    const scenario: Scenario = {
      shape,
      lora: LORA,
      options: { ...DPO_DEFAULTS, maxTokensPerBatch: 512, ...options },
      threads: 1,
    };
    const own = await trainOwn(folder, libraries, scenario, drawRows(steps * BATCH));
    const { status, stderr } = spawnSync(python, [TRL_SCRIPT, "compare", folder], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`TRL's side failed:\n${stderr}`);
    const answer = answerSchema.parse(JSON.parse(readFileSync(join(folder, "trl.json"), "utf8")));
    return { ...own, theirs: answer.losses, adapter: answer.adapter };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Liked and disliked answers by turns of three and two, so that steps hold either in other numbers. */
function drawRows(count: number): readonly Row[] {
  const pairs = drawPairs(count, VOCABULARY, (random) => [
    4 + random.below(20),
    2 + random.below(30),
    2 + random.below(30),
  ]);
  const rated = pairs.map(({ id, prompt, chosen, rejected }, i) => {
    const isDesirable = i % 5 < 3;
    return { id, prompt, completion: isDesirable ? chosen : rejected, isDesirable };
  });
  return rated.map((row, i) => {
    return { ...row, mismatched: rated.at(i - 1)?.completion ?? row.completion };
  });
}

/** Also writes what Python needs, in the order of this run's own shuffle. */
async function trainOwn(
  folder: string,
  libraries: NativeLibraries,
  scenario: Scenario,
  rows: readonly Row[],
): Promise<Pick<KtoComparison, "own" | "referencePoints">> {
  const { options } = scenario;
  using model = openScenario(folder, libraries, scenario, "f32");
  writeAdapter(folder, "initial.gguf", libraries, scenario, model);
  const runDir = join(folder, "run");
  mkdirSync(runDir);
  const examples = rows.map((row) => exampleOf(row, row.completion));
  const mismatched = rows.map((row) => exampleOf(row, row.mismatched));
  using reference = await referenceLogps({
    model,
    modelSha256: "",
    sources: [sourceOf(examples), sourceOf(mismatched)],
    maxTokensPerBatch: options.maxTokensPerBatch,
    cachePath: join(runDir, "reference.db"),
  });
  if (reference === undefined) throw new Error("nothing aborts this run");
  const logp = (example: Example | undefined) =>
    (example === undefined ? undefined : reference.get(example))?.[0] ?? Number.NaN;
  const rated = new Map(
    examples.map((example, i): [Example, RatedExample] => {
      const [other, row] = [mismatched[i], rows[i]];
      const [sequence] = other?.sequences ?? [];
      if (sequence === undefined || row === undefined) throw new Error(`no row ${i}`);
      const known = { referenceLogp: logp(example), mismatchedReferenceLogp: logp(other) };
      return [example, { ...known, mismatched: sequence, isDesirable: row.isDesirable }];
    }),
  );
  const steps: (readonly Row[])[] = [];
  const byId = new Map(rows.map((row) => [row.id, row]));
  const loss = unpairedLoss(rated, { beta: BETA, ...WEIGHTS });
  await train({
    model,
    runDir,
    examples,
    evalExamples: [],
    options,
    lossKey: "parity",
    loss: (step, scorer) => {
      steps.push(step.flatMap(({ id }) => byId.get(id) ?? []));
      return loss(step, scorer);
    },
  });
  writeAdapter(folder, "final.gguf", libraries, scenario, model);
  const request = { ...scenario, kto: WEIGHTS, steps: steps.map((step) => step.map(toTrl)) };
  writeFileSync(join(folder, "request.json"), JSON.stringify(request));
  const lines = readMetrics(join(runDir, "metrics.jsonl"));
  const figures = (name: string) => lines.map((line) => line[name] ?? Number.NaN);
  return { own: figures("loss"), referencePoints: figures("kl") };
}

function exampleOf({ id, prompt }: Row, completion: Int32Array): Example {
  const tokens = concatTokens(prompt, completion);
  return { id, sequences: [scoredRange(tokens, prompt.length, tokens.length)], weight: 1 };
}

/** As TRL's collator of unpaired preferences takes a row. */
function toTrl({ prompt, completion, mismatched, isDesirable }: Row) {
  return {
    prompt_ids: [...prompt],
    completion_ids: [...completion],
    KL_completion_ids: [...mismatched],
    label: isDesirable,
  };
}
