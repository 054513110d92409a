/**
 * `node trainer/nano/evaluate.ts [--model file.gguf] [--limit n] [--guard]`: measures a model, prints JSON.
 * With `--guard` it measures the model as a guard, through the engine's own guard layer.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openLocalBackend } from "#engine/backends/local.ts";
import { type Corpus, loadCorpus } from "./corpus/corpus.ts";
import { type Evaluation, evaluateModel } from "./evaluation.ts";
import { evaluateGuard } from "./guard-evaluation.ts";
import { FULL_PLAN } from "./plan.ts";

const NANO = fileURLToPath(new URL("../../deploy/models/nano/nano.gguf", import.meta.url));
const STREAMS = 16;
const WAITING = 2048;

/** Opens a model file in the engine that serves people, and measures it. */
export async function evaluateFile(
  modelPath: string,
  options: {
    readonly corpus: Corpus;
    readonly limit: number;
    readonly threads: number;
    readonly signal: AbortSignal;
  },
): Promise<Evaluation> {
  await using backend = await open(modelPath, options.threads);
  // Awaited here, or else the backend would be closed while it answers.
  return await evaluateModel(backend, options.corpus, options);
}

async function evaluateFileAsGuard(
  modelPath: string,
  { corpus, limit, threads, signal }: Parameters<typeof evaluateFile>[1],
) {
  await using backend = await open(modelPath, threads);
  return await evaluateGuard(backend, corpus, { limit, signal });
}

function open(modelPath: string, threads: number) {
  return openLocalBackend({
    modelPath,
    modelId: "nano",
    gpu: "cpu",
    gpuLayers: 0,
    threads,
    contextTokens: FULL_PLAN.shape.contextTokens,
    streams: STREAMS,
    waiting: WAITING,
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: NANO },
      limit: { type: "string", default: String(FULL_PLAN.evaluationPrompts) },
      threads: { type: "string", default: "2" },
      guard: { type: "boolean", default: false },
    },
  });
  const options = {
    corpus: loadCorpus(),
    limit: Number(values.limit),
    threads: Number(values.threads),
    signal: new AbortController().signal,
  };
  const evaluation = values.guard
    ? await evaluateFileAsGuard(values.model, options)
    : await evaluateFile(values.model, options);
  process.stdout.write(`${JSON.stringify(evaluation, null, 2)}\n`);
  return 0;
}

if (import.meta.main) process.exitCode = await main();
