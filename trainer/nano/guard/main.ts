/**
 * `npm run nano:guard`: makes the small guard from the small chat model, whose file it only reads, and measures it.
 * `--quick` runs every stage in seconds; stopped with Ctrl-C, the same command goes on where it was.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { openProgressBar } from "../../run/progress-bar.ts";
import { loadCorpus } from "../corpus/corpus.ts";
import { loadGuardTables } from "../corpus/guard/tables.ts";
import { evaluateGuardFile } from "../evaluate.ts";
import { StageTimes, stageLog } from "../stage-log.ts";
import { quantise } from "../trained-stage.ts";
import { describeGuard } from "./card.ts";
import { GUARD_PLAN, type GuardPlan, QUICK_GUARD_PLAN } from "./plan.ts";
import { type GuardRecipe, trainGuard } from "./stages.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const INTERRUPTED = 130;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      from: { type: "string", default: join(ROOT, "deploy/models/nano/nano.gguf") },
      out: { type: "string", default: join(ROOT, "deploy/models/nano-guard") },
      runs: { type: "string", default: join(ROOT, "runs/nano-guard") },
      threads: { type: "string", default: "1" },
    },
  });
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  process.once("SIGTERM", () => controller.abort());
  const recipe = await openRecipe(values.quick ? QUICK_GUARD_PLAN : GUARD_PLAN, {
    ...values,
    threads: Number(values.threads),
    signal: controller.signal,
  });
  const finished = await makeGuard(recipe, values.from, values.out);
  if (!finished) say("Stopped. The same command goes on from here.");
  return finished ? 0 : INTERRUPTED;
}

async function openRecipe(
  plan: GuardPlan,
  options: { from: string; runs: string; threads: number; signal: AbortSignal },
): Promise<GuardRecipe> {
  const { from, runs, threads, signal } = options;
  const corpus = { ...loadCorpus(), ...loadGuardTables() };
  // Another plan, corpus or model is another run: its files must not be taken for this one's.
  const key = createHash("sha256")
    .update(JSON.stringify([plan, corpus, sha256(readFileSync(from))]))
    .digest("hex");
  const runDir = join(runs, key.slice(0, 12));
  mkdirSync(runDir, { recursive: true });
  const build = await chooseBuild("cpu");
  const bar = openProgressBar(process.stderr);
  const libraries = loadLibraries(build.folder);
  return { plan, corpus, libraries, threads, runDir, signal, onProgress: bar.show };
}

/** Runs all rounds. @returns false when it was interrupted */
async function makeGuard(recipe: GuardRecipe, from: string, outDir: string): Promise<boolean> {
  const { plan, runDir, threads, signal, corpus } = recipe;
  const times = new StageTimes(runDir, threads);
  let path = from;
  for (const [round] of plan.rounds.entries()) {
    const to = join(runDir, `round-${round + 1}.gguf`);
    say(`Round ${round + 1}`);
    const outcome = await times.measure(`round-${round + 1}`, () =>
      trainGuard(recipe, round, path, to),
    );
    if (outcome?.status === "aborted") return false;
    path = to;
  }
  mkdirSync(outDir, { recursive: true });
  const model = quantise(recipe, path, join(outDir, "nano-guard.gguf"), "q8_0");
  say("Evaluation");
  const evaluation = await times.measure("evaluation", () =>
    evaluateGuardFile(join(outDir, "nano-guard.gguf"), {
      corpus,
      format: "brief",
      limit: plan.evaluated,
      threads,
      signal,
    }),
  );
  const write = (name: string, text: string) => writeFileAtomic(join(outDir, name), text);
  write("train-log.jsonl", stageLog(runDir, times.records));
  write("evaluation.json", `${JSON.stringify(evaluation, null, 2)}\n`);
  const base = { sha256: sha256(readFileSync(from)) };
  write(
    "README.md",
    describeGuard({ plan, corpus, model, base, evaluation, stages: times.records }),
  );
  const files = ["nano-guard.gguf", "README.md", "evaluation.json", "train-log.jsonl"];
  const sums = files.map((name) => `${sha256(readFileSync(join(outDir, name)))}  ${name}\n`);
  write("SHA256SUMS", sums.join(""));
  say(`Wrote ${join(outDir, "nano-guard.gguf")} (${(model.bytes / 1e6).toFixed(1)} MB)`);
  return true;
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

process.exitCode = await main();
