/**
 * `npm run nano`: makes the small model from nothing, by Zephyr's steps, and measures it.
 * `--quick` runs every stage in seconds; stopped with Ctrl-C, the same command goes on where it was.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { openProgressBar } from "../run/progress-bar.ts";
import { describeModel } from "./card.ts";
import { loadCorpus } from "./corpus/corpus.ts";
import { evaluateFile } from "./evaluate.ts";
import type { Evaluation } from "./evaluation.ts";
import { FULL_PLAN, type NanoPlan, QUICK_PLAN } from "./plan.ts";
import { type StageRecord, StageTimes, stageLog } from "./stage-log.ts";
import { fineTune, makeUntrained, optimisePreferences, pretrain, type Recipe } from "./stages.ts";
import { quantise, type StageOutcome } from "./trained-stage.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const INTERRUPTED = 130;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      out: { type: "string", default: join(ROOT, "deploy/models/nano") },
      runs: { type: "string", default: join(ROOT, "runs/nano") },
      threads: { type: "string" },
    },
  });
  const plan = values.quick ? QUICK_PLAN : FULL_PLAN;
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  process.once("SIGTERM", () => controller.abort());
  const threads = Number(values.threads ?? Math.min(2, availableParallelism()));
  const recipe = await openRecipe(plan, values.runs, threads, controller.signal);
  const finished = await makeNano(recipe, values.out);
  if (!finished) say("Stopped. The same command goes on from here.");
  return finished ? 0 : INTERRUPTED;
}

async function openRecipe(
  plan: NanoPlan,
  runs: string,
  threads: number,
  signal: AbortSignal,
): Promise<Recipe> {
  const corpus = loadCorpus();
  // Another plan or corpus is another run: its files must not be taken for this one's.
  const key = createHash("sha256")
    .update(JSON.stringify([plan, corpus]))
    .digest("hex");
  const runDir = join(runs, key.slice(0, 12));
  mkdirSync(runDir, { recursive: true });
  const build = await chooseBuild("cpu");
  const bar = openProgressBar(process.stderr);
  return {
    plan,
    corpus,
    libraries: loadLibraries(build.folder),
    threads,
    runDir,
    signal,
    onProgress: bar.show,
  };
}

/** Runs all stages. @returns false when it was interrupted */
async function makeNano(recipe: Recipe, outDir: string): Promise<boolean> {
  const file = (name: string) => join(recipe.runDir, `${name}.gguf`);
  const times = new StageTimes(recipe.runDir, recipe.threads);
  const rounds = recipe.plan.sft.map((_, round): [string, () => Promise<StageOutcome>] => [
    `sft-${round + 1}`,
    () => fineTune(recipe, round, file(`sft-${round}`), file(`sft-${round + 1}`)),
  ]);
  const stages: readonly [string, () => Promise<StageOutcome>][] = [
    ["pretrain", () => pretrain(recipe, file("untrained"), file("sft-0"))],
    ...rounds,
    ["dpo", () => optimisePreferences(recipe, file(`sft-${rounds.length}`), file("nano-f32"))],
  ];
  await times.measure("tokenizer", async () => makeUntrained(recipe, file("untrained")));
  for (const [name, run] of stages) {
    say(`Stage ${name}`);
    const outcome = await times.measure(name, run);
    if (outcome?.status === "aborted") return false;
  }
  mkdirSync(outDir, { recursive: true });
  const model = quantise(recipe, file("nano-f32"), join(outDir, "nano.gguf"), "q8_0");
  say("Evaluation");
  const evaluation = await times.measure("evaluation", () =>
    evaluateFile(join(outDir, "nano.gguf"), {
      ...recipe,
      limit: recipe.plan.evaluationPrompts,
    }),
  );
  writeResults({ recipe, outDir, model, evaluation, stages: times.records });
  return true;
}

function writeResults(results: {
  readonly recipe: Recipe;
  readonly outDir: string;
  readonly model: { readonly sha256: string; readonly bytes: number; readonly parameters: number };
  readonly evaluation: Evaluation;
  readonly stages: readonly StageRecord[];
}): void {
  const { recipe, outDir, evaluation, stages } = results;
  const write = (name: string, text: string) => writeFileAtomic(join(outDir, name), text);
  write("train-log.jsonl", stageLog(recipe.runDir, stages));
  write("evaluation.json", `${JSON.stringify(evaluation, null, 2)}\n`);
  write("README.md", describeModel({ ...results, plan: recipe.plan, corpus: recipe.corpus }));
  const files = ["nano.gguf", "README.md", "evaluation.json", "train-log.jsonl"];
  const sums = files.map((name) => `${sha256(readFileSync(join(outDir, name)))}  ${name}\n`);
  write("SHA256SUMS", sums.join(""));
  say(`Wrote ${join(outDir, "nano.gguf")} (${(results.model.bytes / 1e6).toFixed(1)} MB)`);
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

process.exitCode = await main();
