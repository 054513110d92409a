/** Times the local backend without HTTP: the decode loop alone, with figures that do not depend on the machine. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import type { CacheType } from "#engine/llama/context.ts";
import { chooseBuild } from "#engine/llama/gpu-build.ts";
import type { CacheSetting } from "#engine/llama/memory-plan.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { loadLibraries } from "#engine/native/library.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import {
  ANSWER_TOKENS,
  CONTEXT_TOKENS,
  type Conversation,
  conversations,
  type SystemPrompt,
} from "./workload.ts";

/** What to run. */
export type LoopCase = {
  readonly modelPath: string;
  readonly streams: number;
  readonly threads: number;
  /** Requests that each person sends, one after the other. */
  readonly requestsEach: number;
  readonly system?: SystemPrompt;
  /** How many adapters the streams are spread over; 0 is the bare weights. */
  readonly adapters: number;
  readonly batchTokens?: number;
  readonly cacheSetting: CacheSetting;
  readonly cacheType: CacheType;
};

/** One run's figures. */
export type LoopTiming = {
  readonly tokensPerSecond: number;
  /** For each second of processor time of this whole process: a busy host changes it little. */
  readonly tokensPerProcessorSecond: number;
  readonly firstTokenMs: readonly number[];
  readonly microBatchesPerDecode: number;
  readonly sequencesPerDecode: number;
  /** The longest time for which the event loop did not turn, this process's own people included. */
  readonly longestBlockMs: number;
  readonly device: string;
};

const DELAY_RESOLUTION_MS = 5;

/** Runs one case in a fresh backend, after one round of all streams to warm it up. */
export async function timeLoop(run: LoopCase): Promise<LoopTiming> {
  const { modelPath, streams, threads, system, batchTokens } = run;
  await using backend = await openLocalBackend({
    modelPath,
    modelId: "bench",
    gpu: "auto",
    gpuLayers: 999,
    threads,
    contextTokens: CONTEXT_TOKENS + (system?.tokens ?? 0),
    streams,
    cacheSetting: run.cacheSetting,
    cacheType: run.cacheType,
    ...(batchTokens === undefined ? {} : { batchTokens }),
  });
  const adapters = await loadAdapters(backend, run);
  const count = (messages: Conversation) => backend.countTokens(messages);
  const ask = (size: number, seed: number) =>
    conversations(count, { size, seed, ...(system === undefined ? {} : { system }) });
  // Contexts are opened, weights come into memory, and a shared system prompt is where it stays.
  await Promise.all(
    ask(streams, 99).map((asked, i) => complete(backend, asked, adapters[i % adapters.length], 4)),
  );
  const asked = ask(streams * run.requestsEach, 1);
  const before = backend.laneStats();
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const firstTokenMs: number[] = [];
  let tokens = 0;
  const start = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(
    Array.from({ length: streams }, async (_, person) => {
      for (let turn = 0; turn < run.requestsEach; turn += 1) {
        const messages = asked[person * run.requestsEach + turn] ?? [];
        const done = await complete(backend, messages, adapters[person % adapters.length]);
        firstTokenMs.push(done.firstTokenMs);
        tokens += done.tokens;
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system: inKernel } = process.cpuUsage(cpuBefore);
  delay.disable();
  const after = backend.laneStats();
  const decodes = after.decodes - before.decodes;
  return {
    tokensPerSecond: tokens / seconds,
    tokensPerProcessorSecond: tokens / ((user + inKernel) / 1e6),
    firstTokenMs,
    microBatchesPerDecode: (after.microBatches - before.microBatches) / decodes,
    sequencesPerDecode: (after.sequences - before.sequences) / decodes,
    longestBlockMs: Math.max(0, delay.max / 1e6 - DELAY_RESOLUTION_MS),
    device: `${(backend.info.parameters / 1e6).toFixed(1)} M parameters · ${backend.info.device} ${backend.info.memory}`,
  };
}

async function loadAdapters(backend: LocalBackend, run: LoopCase): Promise<(string | null)[]> {
  if (run.adapters === 0) return [null];
  const libraries = loadLibraries((await chooseBuild("auto")).folder);
  using file = GgufFile.open(run.modelPath, libraries);
  const number = (key: string) => Number(file.value(`llama.${key}`));
  const [nEmbd, nHead] = [number("embedding_length"), number("attention.head_count")];
  const shape = { nLayer: number("block_count"), nEmbd, nHead, headDim: nEmbd / nHead };
  const folder = mkdtempSync(join(run.modelPath, "..", "adapters-"));
  const names = Array.from({ length: run.adapters }, (_, i) => `adapter-${i}`);
  for (const [i, name] of names.entries()) {
    const path = join(folder, `${name}.gguf`);
    writeRandomAdapter(path, { libraries, shape, seed: i + 1 });
    await backend.loadAdapter(name, path);
  }
  return names;
}

async function complete(
  backend: LocalBackend,
  messages: Conversation,
  adapter: string | null = null,
  maxTokens = ANSWER_TOKENS,
): Promise<{ firstTokenMs: number; tokens: number }> {
  const start = performance.now();
  let firstTokenMs = Number.NaN;
  for await (const event of backend.generate({
    messages,
    sampling: { temperature: 0.8, topP: 1, topK: 40, minP: 0, seed: 1 },
    maxTokens,
    stop: [],
    adapter,
    signal: new AbortController().signal,
  })) {
    if (Number.isNaN(firstTokenMs) && event.type !== "start") {
      firstTokenMs = performance.now() - start;
    }
    if (event.type === "end") return { firstTokenMs, tokens: event.completionTokens };
  }
  throw new Error("the completion had no end");
}
