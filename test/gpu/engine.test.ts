/**
 * The local backend on a Vulkan device, against the CPU build in a process of its own. Vulkan rounds activations to
 * F16 and the CPU those of quantised weights to 8 bits, so greedy answers may part where the lead is small.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GenerateRequest } from "#engine/backends/backend.ts";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import type { LocalBackendOptions } from "#engine/backends/local-limits.ts";
import { freeGpuBytes } from "#engine/native/device-memory.ts";
import { GgufFile } from "#engine/native/gguf.ts";
import { type Answer, ask, request } from "../engine/backends/ask.ts";
import { until } from "../engine/service/scripted-backend.ts";
import { writeRandomAdapter } from "../model/random-adapter.ts";
import { writeRandomModel } from "../model/random-model.ts";
import { cosine } from "../trainer/model/sequences.ts";
import type { CpuWork } from "./cpu-answers.ts";
import { VULKAN, vulkanLibraries } from "./vulkan-device.ts";

const NANO = join(import.meta.dirname, "../../deploy/models/nano/nano.gguf");
/** Nats by which a token led the next one, where answers may part. */
const CLOSE = 0.25;
const folder = mkdtempSync(join(tmpdir(), "vulkan-engine-"));
const modelPath = join(folder, "random.gguf");
const adapterPath = join(folder, "adapter.gguf");
/** Mesa compiles each shader when it is first met, which its cache spares the next run. */
const SLOW = { timeout: 180_000 };
const because = VULKAN.missing === undefined ? "" : ` (skipped: ${VULKAN.missing})`;

beforeAll(() => {
  if (VULKAN.missing !== undefined) return;
  const libraries = vulkanLibraries();
  const shape = { nEmbd: 256, nFf: 256, headDim: 64 };
  const written = writeRandomModel(modelPath, { libraries, type: "q4_K", shape });
  writeRandomAdapter(adapterPath, { libraries, shape: written.shape, seed: 1 });
});

afterAll(() => rmSync(folder, { recursive: true }));

function open(more: Partial<LocalBackendOptions> = {}): Promise<LocalBackend> {
  return openLocalBackend({
    modelPath,
    modelId: "random",
    gpu: "vulkan",
    gpuLayers: 99,
    threads: 1,
    contextTokens: 256,
    streams: 2,
    ...more,
  });
}

/** The same on the CPU, from scratch. */
function onCpu(work: Omit<CpuWork, "asked"> & { readonly asked: readonly GenerateRequest[] }) {
  const program = join(import.meta.dirname, "cpu-answers.ts");
  const options = { encoding: "utf8", maxBuffer: 2 ** 26 } as const;
  const printed = execFileSync(process.execPath, [program, JSON.stringify(work)], options);
  const { answers, vectors }: { answers: Answer[]; vectors: number[][] } = JSON.parse(printed);
  return { answers, vectors };
}

/** How many tokens of a are b's, up to where the lead was small; fails where they part before. */
function expectSame(a: Answer | undefined, b: Answer | undefined): number {
  if (a === undefined || b === undefined) throw new Error("an answer is missing");
  const parting = a.tokenIds.findIndex((token, i) => token !== b.tokenIds[i]);
  if (parting < 0) return a.tokenIds.length;
  expect(b.leads[parting], `token ${parting} of ${b.text} and ${a.text}`).toBeLessThan(CLOSE);
  return parting;
}

describe.skipIf(VULKAN.missing !== undefined)(
  `the engine on a Vulkan device${because}`,
  SLOW,
  () => {
    it("answers by the shipped model as the CPU does, several at once with one system prompt", async () => {
      const content =
        "You are a friendly member of this server. You answer in a sentence or two, say so where you do not know, and are kind to everyone who asks, whatever they ask you for.";
      const system = { role: "system", content } as const;
      const asked = ["Hello!", "Tell me about the sea."].map((question) =>
        request("", { messages: [system, { role: "user", content: question }], maxTokens: 12 }),
      );
      await using backend = await open({ modelPath: NANO });
      const answers = await Promise.all(asked.map((each) => ask(backend, each)));
      const expected = onCpu({ modelPath: NANO, asked }).answers;
      const same = answers.map((answer, i) => expectSame(answer, expected[i]));
      expect(same.reduce((sum, count) => sum + count)).toBeGreaterThan(12);
      expect(backend.stats().cache?.reusedTokens).toBeGreaterThan(0);
    });

    it("says which device computes, and plans with its memory beside the weights, not the machine's", async () => {
      await using backend = await open({ modelPath: NANO });
      if (VULKAN.folder === undefined) return;
      expect(backend.info.device).toContain(VULKAN.name);
      using file = GgufFile.open(NANO, vulkanLibraries());
      const weights = file.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
      const free = freeGpuBytes(vulkanLibraries(), weights);
      const told = /; ([\d,]+) MiB are free beside the weights/.exec(
        backend.info.memory ?? "",
      )?.[1];
      expect(Number(told?.replaceAll(",", ""))).toBe(Math.ceil(free / 2 ** 20));
    });

    it("has lanes of its own for an adapter, and goes back to bare weights without it", async () => {
      const bare = request("hello there", { maxTokens: 12 });
      const adapted = { ...bare, adapter: "one" };
      await using backend = await open();
      await backend.loadAdapter("one", adapterPath);
      const [one, none] = await Promise.all([ask(backend, adapted), ask(backend, bare)]);
      const expected = onCpu({ modelPath, adapterPath, asked: [adapted, bare] }).answers;
      expectSame(one, expected[0]);
      expectSame(none, expected[1]);
      expect(one.text).not.toBe(none.text);
      await backend.unloadAdapter("one");
      expect((await ask(backend, bare)).text).toBe(none.text);
    });
  },
);

describe.skipIf(VULKAN.missing !== undefined)(
  `a conversation on a Vulkan device${because}`,
  SLOW,
  () => {
    it("brings its KV in 8 bits back from disk", async () => {
      const parking = { folder: join(folder, "parked"), limitBytes: 50_000_000 };
      await using backend = await open({ streams: 1, parking, cacheType: "q8_0" });
      const talk = (topic: string) => request(`tell me of ${topic}, `.repeat(6), { maxTokens: 8 });
      const first = await ask(backend, talk("rain"));
      await ask(backend, talk("tea"));
      await until(() => backend.stats().cache?.parkedConversations === 1);
      const before = backend.stats().cache?.reusedTokens ?? 0;
      const again = await ask(backend, talk("rain"));
      expectSame(again, first);
      expect(backend.stats().cache?.returnedConversations).toBe(1);
      expect((backend.stats().cache?.reusedTokens ?? 0) - before).toBeGreaterThan(50);
    });

    it("embeds as the CPU does", async () => {
      const texts = ["hello there", "the other one"];
      await using backend = await open();
      const embedded = await backend.embed?.(texts, new AbortController().signal);
      const vectors = embedded?.vectors ?? [];
      expect(vectors).toHaveLength(2);
      const expected = onCpu({ modelPath, asked: [], embedded: texts }).vectors;
      for (const [i, vector] of vectors.entries()) {
        expect(
          cosine(Float32Array.from(vector), Float32Array.from(expected[i] ?? [])),
        ).toBeGreaterThan(0.999);
      }
    });

    it("keeps to a grammar, and ends when nobody listens any more", async () => {
      const shape = { type: "grammar", gbnf: 'root ::= "yes" | "no"' } as const;
      await using backend = await open();
      expect((await ask(backend, request("ok?", { shape }))).text).toMatch(/^(yes|no)$/);
      const leaving = new AbortController();
      const asked = request("go on", { maxTokens: 200, signal: leaving.signal });
      let tokens = 0;
      for await (const event of backend.generate(asked)) {
        if (event.type === "text") tokens += event.tokenIds.length;
        if (tokens > 3) leaving.abort();
        if (event.type === "end") expect(event.reason).toBe("aborted");
      }
      expect(tokens).toBeLessThan(100);
    });
  },
);
