import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateRequest } from "#engine/backends/backend.ts";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { type Answer, ask, request, sameGreedyAnswer } from "./ask.ts";
import { referenceAnswers } from "./reference.ts";

const folder = mkdtempSync(join(tmpdir(), "local-adapters-"));
const modelPath = join(folder, "random.gguf");
const adapterPath = (seed: number) => join(folder, `adapter-${seed}.gguf`);

beforeAll(() => {
  const libraries = cpuLibraries();
  const { shape } = writeRandomModel(modelPath, { libraries });
  for (const seed of [1, 2]) writeRandomAdapter(adapterPath(seed), { libraries, shape, seed });
});

afterAll(() => rmSync(folder, { recursive: true }));

function open(streams = 3): Promise<LocalBackend> {
  return openLocalBackend({
    modelPath,
    modelId: "random",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 256,
    streams,
    batchTokens: 32,
  });
}

/** The answer computed from scratch, by nothing that ever computed anything else. */
async function fresh(asked: GenerateRequest): Promise<Answer> {
  const path = asked.adapter === null ? undefined : adapterOf(asked.adapter);
  const [answer] = await referenceAnswers(modelPath, [asked], path);
  if (answer === undefined) throw new Error("no answer");
  return answer;
}

const adapterOf = (name: string) => adapterPath(name === "one" ? 1 : 2);

describe("adapters", () => {
  test("each changes the answer, and says in the events that it gave it", async () => {
    await using backend = await open();
    await backend.loadAdapter("one", adapterPath(1));
    await backend.loadAdapter("two", adapterPath(2));
    const answers = [];
    for (const adapter of [null, "one", "two"]) {
      answers.push(await ask(backend, request("hello there", { adapter })));
    }
    expect(new Set(answers.map(({ text }) => text)).size).toBe(3);
    expect(answers.map(({ adapter }) => adapter)).toEqual([null, "one", "two"]);
  });

  test("after a swap the same conversation is answered as in a fresh run: no stale KV is read", async () => {
    await using backend = await open(1);
    await backend.loadAdapter("one", adapterPath(1));
    await backend.loadAdapter("two", adapterPath(2));
    for (const adapter of ["one", "two", null, "two", "one"]) {
      const asked = request("tell me about the weather and tea", { adapter });
      expect(sameGreedyAnswer(await ask(backend, asked), await fresh(asked))).toBe(true);
    }
  });

  test("a file replaced under the same name serves its new weights", async () => {
    await using backend = await open();
    await backend.loadAdapter("one", adapterPath(1));
    const before = await ask(backend, request("hello there", { adapter: "one" }));
    await backend.loadAdapter("one", adapterPath(2));
    const after = await ask(backend, request("hello there", { adapter: "one" }));
    expect(after.text).not.toBe(before.text);
    expect(sameGreedyAnswer(after, await fresh(request("hello there", { adapter: "two" })))).toBe(
      true,
    );
  });
});

describe("swapping while requests run", () => {
  test("a request finishes on the adapter that it began with, though that is unloaded meanwhile", async () => {
    await using backend = await open();
    await backend.loadAdapter("one", adapterPath(1));
    const asked = request("hello there", { adapter: "one", maxTokens: 60 });
    const order: string[] = [];
    const running = ask(backend, asked).then((answer) => {
      order.push("answered");
      return answer;
    });
    const unloading = backend.unloadAdapter("one").then(() => order.push("unloaded"));
    await expect(ask(backend, asked)).rejects.toMatchObject({ code: "adapter_unknown" });
    expect(backend.loadedAdapters()).toEqual([]);
    expect(sameGreedyAnswer(await running, await fresh(asked))).toBe(true);
    await unloading;
    expect(order).toEqual(["answered", "unloaded"]);
  });

  test("mixed requests on both adapters and none, some aborted, never mix their answers", async () => {
    const asked = Array.from({ length: 18 }, (_, i) =>
      request(`question ${i % 3}`, {
        adapter: [null, "one", "two"][i % 3] ?? null,
        messages: [
          { role: "system", content: "You are kind, you are brief and you are in the hall." },
          { role: "user", content: `question ${i % 3}` },
        ],
        maxTokens: 6 + (i % 5),
      }),
    );
    const expected = await Promise.all(
      [0, 1, 2].map((i) => fresh({ ...(asked[i] ?? request("")), maxTokens: 10 })),
    );
    await using backend = await open(3);
    await backend.loadAdapter("one", adapterPath(1));
    await backend.loadAdapter("two", adapterPath(2));
    const answers = await Promise.all(
      asked.map((one, i) => {
        const controller = new AbortController();
        if (i % 7 === 6) queueMicrotask(() => controller.abort());
        return ask(backend, { ...one, signal: controller.signal });
      }),
    );
    answers.forEach((answer, i) => {
      const whole = expected[i % 3];
      if (answer.end.reason === "aborted" || whole === undefined) return;
      const cut = { ...whole, tokenIds: whole.tokenIds.slice(0, answer.tokenIds.length) };
      expect(sameGreedyAnswer({ ...answer, text: "" }, { ...cut, text: "" })).toBe(true);
    });
    expect(answers.filter(({ end }) => end.reason === "aborted")).toHaveLength(2);
    expect(backend.stats()).toMatchObject({ busyStreams: 0, waiting: 0 });
  });

  test("closing while an adapter drains settles the unloading too", async () => {
    const backend = await open(1);
    await backend.loadAdapter("one", adapterPath(1));
    const running = ask(backend, request("hello", { adapter: "one", maxTokens: 200 }));
    const unloading = backend.unloadAdapter("one");
    await backend[Symbol.asyncDispose]();
    await unloading;
    expect((await running).end.reason).toBe("aborted");
  });
});
