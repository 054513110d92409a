/**
 * `node trainer/nano/evaluate.ts [--model file.gguf] [--limit n]`: measures a model, prints JSON.
 * With `--guard [--format name] [--prompts file.csv]` it measures a guard model through the engine's own guard layer,
 * and on prompts of a table with the columns `prompt` and `label` (`safe`, `unsafe`), such as XSTest's.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openLocalBackend } from "#engine/backends/local.ts";
import {
  type GuardFormat,
  type GuardFormatName,
  guardFormat,
} from "#engine/moderation/guard-format.ts";
import { type Corpus, loadCorpus } from "./corpus/corpus.ts";
import type { GuardCorpus } from "./corpus/guard/judgements.ts";
import { loadGuardTables } from "./corpus/guard/tables.ts";
import { type Evaluation, evaluateModel } from "./evaluation.ts";
import { evaluateGuard, type GuardCase, type GuardEvaluation } from "./guard/evaluation.ts";
import { readPromptTable } from "./guard/prompt-table.ts";
import { FULL_PLAN } from "./plan.ts";

const MODELS = fileURLToPath(new URL("../../deploy/models/", import.meta.url));
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

/** Opens a guard model's file as the engine does, and measures it. */
export async function evaluateGuardFile(
  modelPath: string,
  options: {
    readonly corpus: GuardCorpus;
    readonly format: GuardFormatName;
    readonly limit: number;
    readonly threads: number;
    readonly others?: readonly GuardCase[];
    readonly signal: AbortSignal;
  },
): Promise<GuardEvaluation> {
  const format = guardFormat(options.format);
  await using backend = await open(modelPath, options.threads, format.turn);
  return await evaluateGuard(backend, options.corpus, { ...options, format });
}

function open(modelPath: string, threads: number, turn?: GuardFormat["turn"]) {
  return openLocalBackend({
    modelPath,
    modelId: "nano",
    gpu: "cpu",
    gpuLayers: 0,
    threads,
    contextTokens: FULL_PLAN.shape.contextTokens,
    streams: STREAMS,
    waiting: WAITING,
    ...(turn === undefined ? {} : { turn }),
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      limit: { type: "string", default: String(FULL_PLAN.evaluationPrompts) },
      threads: { type: "string", default: "2" },
      guard: { type: "boolean", default: false },
      format: { type: "string", default: "brief" },
      prompts: { type: "string" },
    },
  });
  const shared = {
    limit: Number(values.limit),
    threads: Number(values.threads),
    signal: new AbortController().signal,
  };
  const corpus = loadCorpus();
  const usual = values.guard ? "nano-guard/nano-guard.gguf" : "nano/nano.gguf";
  const model = values.model ?? join(MODELS, usual);
  const others =
    values.prompts === undefined
      ? {}
      : { others: readPromptTable(readFileSync(values.prompts, "utf8")) };
  const evaluation = values.guard
    ? await evaluateGuardFile(model, {
        ...shared,
        ...others,
        corpus: { ...corpus, ...loadGuardTables() },
        format: toFormatName(values.format),
      })
    : await evaluateFile(model, { ...shared, corpus });
  process.stdout.write(`${JSON.stringify(evaluation, null, 2)}\n`);
  return 0;
}

function toFormatName(name: string): GuardFormatName {
  if (name === "brief" || name === "qwen3guard" || name === "llamaguard3") return name;
  throw new RangeError(`--format: expected brief, qwen3guard or llamaguard3, got ${name}`);
}

if (import.meta.main) process.exitCode = await main();
