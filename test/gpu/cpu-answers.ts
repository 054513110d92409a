/** A program of its own: answers requests on the CPU build, which no process of the Vulkan build can load. */
import type { GenerateRequest } from "#engine/backends/backend.ts";
import { openLocalBackend } from "#engine/backends/local.ts";
import { ask } from "../engine/backends/ask.ts";

/** What it is told as its argument. */
export type CpuWork = {
  readonly modelPath: string;
  readonly asked: readonly Omit<GenerateRequest, "signal">[];
  readonly adapterPath?: string;
  readonly embedded?: readonly string[];
};

const work: CpuWork = JSON.parse(process.argv[2] ?? "");
await using backend = await openLocalBackend({
  modelPath: work.modelPath,
  modelId: "model",
  gpu: "cpu",
  gpuLayers: 0,
  threads: 1,
  contextTokens: 256,
  streams: 1,
});
if (work.adapterPath !== undefined) await backend.loadAdapter("one", work.adapterPath);
const { signal } = new AbortController();
const answers = [];
for (const request of work.asked) answers.push(await ask(backend, { ...request, signal }));
const embedded = await backend.embed?.(work.embedded ?? [], signal);
const vectors = embedded?.vectors ?? [];
process.stdout.write(JSON.stringify({ answers, vectors: vectors.map((each) => [...each]) }));
