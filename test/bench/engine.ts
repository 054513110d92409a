/**
 * Times the local backend: tokens a second and time to first token at several numbers of concurrent people, each
 * sending three requests one after the other. Two figures do not depend on the machine: micro-batches and
 * sequences for each decode.
 *
 *   npm run bench:engine -- [model.gguf | random] [--streams 1,8,32] [--threads 1] [--repeat 3] [--system 300] [--batch 512]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { SeededRandom } from "#trainer/data/random.ts";
import { smallVocabulary, writeRandomModel } from "../model/random-model.ts";

const NANO = join(import.meta.dirname, "../../deploy/models/nano/nano.gguf");
const PROMPT_TOKENS = 128;
const ANSWER_TOKENS = 96;
const CONTEXT_TOKENS = 512;
const REQUESTS_EACH = 3;

type Settings = {
  readonly modelPath: string;
  readonly threads: number;
  readonly systemTokens: number;
  readonly batch: { readonly batchTokens?: number };
};

/** One run's figures. */
type Timing = {
  readonly tokensPerSecond: number;
  readonly firstTokenMs: readonly number[];
  readonly microBatchesPerDecode: number;
  readonly sequencesPerDecode: number;
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    streams: { type: "string", default: "1,8,32" },
    threads: { type: "string", default: "1" },
    repeat: { type: "string", default: "3" },
    system: { type: "string", default: "0" },
    batch: { type: "string" },
  },
});

const folder = mkdtempSync(join(tmpdir(), "bench-engine-"));
try {
  const settings = {
    modelPath: await resolveModel(positionals[0] ?? NANO),
    threads: Number(values.threads),
    systemTokens: Number(values.system),
    batch: values.batch === undefined ? {} : { batchTokens: Number(values.batch) },
  };
  await report(settings, values.streams.split(",").map(Number), Number(values.repeat));
} finally {
  rmSync(folder, { recursive: true });
}

async function report(settings: Settings, streams: readonly number[], repeats: number) {
  const runs = new Map<number, Timing[]>(streams.map((count) => [count, []]));
  let described = "";
  // Interleaved: a busy host then slows every row alike instead of one.
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const count of streams) {
      await using backend = await openLocalBackend({
        modelPath: settings.modelPath,
        modelId: "bench",
        gpu: "auto",
        gpuLayers: 999,
        threads: settings.threads,
        contextTokens: CONTEXT_TOKENS + settings.systemTokens,
        streams: count,
        ...settings.batch,
      });
      described = `${(backend.info.parameters / 1e6).toFixed(1)} M parameters · ${backend.info.device}`;
      runs.get(count)?.push(await time(backend, count, settings.systemTokens));
    }
  }
  const processors = cpus();
  process.stdout.write(
    [
      `machine  ${processors[0]?.model ?? "unknown"}, ${processors.length} logical processors, ${settings.threads} engine threads`,
      `model    ${settings.modelPath.startsWith(folder) ? "random weights, Q8_0" : settings.modelPath} · ${described}`,
      `command  npm run bench:engine -- ${process.argv.slice(2).join(" ")}`,
      `load     unique prompts of ${PROMPT_TOKENS} tokens${settings.systemTokens > 0 ? ` behind a shared system prompt of ${settings.systemTokens}` : ""}, up to ${ANSWER_TOKENS} tokens each, temperature 0.8, top-k 40, ${REQUESTS_EACH} requests a person; medians of ${repeats}`,
      "",
      "| people | tokens/s | first token p50/p95 ms | micro-batches a decode | sequences a decode |",
      "|---|---|---|---|---|",
      ...streams.map((count) => row(count, runs.get(count) ?? [])),
      "",
    ].join("\n"),
  );
}

function row(count: number, timings: readonly Timing[]): string {
  const of = (figure: (timing: Timing) => number) => quantile(timings.map(figure), 0.5);
  const cells = [
    `${count}`,
    of((timing) => timing.tokensPerSecond).toFixed(0),
    `${of((timing) => quantile(timing.firstTokenMs, 0.5)).toFixed(0)} / ${of((timing) => quantile(timing.firstTokenMs, 0.95)).toFixed(0)}`,
    of((timing) => timing.microBatchesPerDecode).toFixed(2),
    of((timing) => timing.sequencesPerDecode).toFixed(1),
  ];
  return `| ${cells.join(" | ")} |`;
}

async function time(backend: LocalBackend, people: number, systemTokens: number): Promise<Timing> {
  // The first request pays for the context and for the weights' way into memory.
  await complete(backend, prompts(backend, 1, 99, systemTokens)[0] ?? []);
  const before = backend.laneStats();
  const asked = prompts(backend, people * REQUESTS_EACH, 1, systemTokens);
  const firstTokenMs: number[] = [];
  let tokens = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: people }, async (_, person) => {
      for (let turn = 0; turn < REQUESTS_EACH; turn += 1) {
        const done = await complete(backend, asked[person * REQUESTS_EACH + turn] ?? []);
        firstTokenMs.push(done.firstTokenMs);
        tokens += done.tokens;
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const after = backend.laneStats();
  const decodes = after.decodes - before.decodes;
  return {
    tokensPerSecond: tokens / seconds,
    firstTokenMs,
    microBatchesPerDecode: (after.microBatches - before.microBatches) / decodes,
    sequencesPerDecode: (after.sequences - before.sequences) / decodes,
  };
}

type Messages = Parameters<LocalBackend["countTokens"]>[0];

async function complete(backend: LocalBackend, messages: Messages) {
  const start = performance.now();
  let firstTokenMs = Number.NaN;
  for await (const event of backend.generate({
    messages,
    sampling: { temperature: 0.8, topP: 1, topK: 40, minP: 0, seed: 1 },
    maxTokens: ANSWER_TOKENS,
    stop: [],
    adapter: null,
    signal: new AbortController().signal,
  })) {
    if (Number.isNaN(firstTokenMs) && event.type !== "start")
      firstTokenMs = performance.now() - start;
    if (event.type === "end") return { firstTokenMs, tokens: event.completionTokens };
  }
  throw new Error("the completion had no end");
}

function prompts(
  backend: LocalBackend,
  count: number,
  seed: number,
  systemTokens: number,
): readonly Messages[] {
  const random = SeededRandom.from(seed, 0);
  const words = (tokens: number, messages: (text: string) => Messages): string => {
    let text = "";
    while (backend.countTokens(messages(text)) < tokens) text += ` ${word(random)}`;
    return text;
  };
  const system =
    systemTokens === 0 ? [] : [{ role: "system" as const, content: words(systemTokens, asUser) }];
  return Array.from({ length: count }, () => [...system, ...asUser(words(PROMPT_TOKENS, asUser))]);
}

function asUser(content: string): Messages {
  return [{ role: "user", content }];
}

function word(random: SeededRandom): string {
  const syllables = ["ka", "lo", "mi", "ten", "ru", "sa", "po", "vi", "the", "an"];
  const pick = () => syllables[Math.floor(random.uniform() * syllables.length)] ?? "";
  return `${pick()}${pick()}`;
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** `random` is the shape that the engine was first measured with: 58 M parameters, 32,000 tokens, Q8_0. */
async function resolveModel(named: string): Promise<string> {
  if (named !== "random") return named;
  const libraries = loadLibraries((await chooseBuild("auto")).folder);
  const small = smallVocabulary();
  const filler = Array.from({ length: 32_000 - small.tokens.length }, (_, i) => `▁filler${i}`);
  const tokens = [...small.tokens, ...filler];
  const path = join(folder, "random-58m.gguf");
  writeRandomModel(path, {
    libraries,
    type: "q8_0",
    shape: {
      nLayer: 8,
      nEmbd: 512,
      nHead: 8,
      nHeadKv: 4,
      headDim: 64,
      nFf: 1536,
      contextTokens: 2048,
    },
    vocabulary: {
      ...small,
      tokens,
      scores: Float32Array.from(tokens, (_, id) => small.scores[id] ?? -id),
      types: Int32Array.from(tokens, (_, id) => small.types[id] ?? 1),
    },
  });
  return path;
}
