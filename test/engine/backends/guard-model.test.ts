import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BackendGuard } from "#engine/backends/guard-model.ts";
import { openLocalBackend } from "#engine/backends/local.ts";
import type { LocalBackendOptions } from "#engine/backends/local-limits.ts";
import { isCoded } from "#engine/base/errors.ts";
import { Guard } from "#engine/moderation/guard.ts";
import { LLAMAGUARD3, QWEN3GUARD } from "#engine/moderation/guard-format.ts";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import { Moderation } from "#engine/moderation/moderator.ts";
import { llamaTensors } from "#trainer/gguf/llama-shape.ts";
import { writeModelGguf } from "#trainer/gguf/model-file.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { smallVocabulary, writeRandomModel } from "../../model/random-model.ts";
import { ask, request } from "./ask.ts";

const folder = mkdtempSync(join(tmpdir(), "guard-model-"));
const chatPath = join(folder, "chat.gguf");
const guardPath = join(folder, "guard.gguf");
const adapterPath = join(folder, "adapter.gguf");
const libraries = cpuLibraries();
const { signal } = new AbortController();

beforeAll(() => {
  const { shape } = writeRandomModel(chatPath, { libraries, shape: { contextTokens: 4096 } });
  writeRandomAdapter(adapterPath, { libraries, shape, seed: 3 });
  const header = {
    name: "guard",
    shape,
    tokens: smallVocabulary(),
    chatTemplate: "{{ '<|im_start|>user\\n' + messages[0].content + '<|im_end|>' }}",
  };
  const tensors = llamaTensors(shape).map(({ name, ne }) => ({
    name,
    ne,
    values: () => new Float32Array(ne.reduce((product, count) => product * count, 1)).fill(0.01),
  }));
  writeModelGguf(guardPath, { libraries, from: header, tensors, type: "f32" });
});

afterAll(() => rmSync(folder, { recursive: true }));

function open(modelPath: string, more: Partial<LocalBackendOptions> = {}) {
  return openLocalBackend({
    modelPath,
    modelId: "tiny",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 4096,
    streams: 2,
    ...more,
  });
}

describe("a judge beside the chat model", () => {
  it("answers from the bare weights, in contexts of its own, whatever adapter serves", async () => {
    await using chat = await open(chatPath);
    await chat.loadAdapter("taste", adapterPath);
    await using judge = chat.openBeside({ streams: 1, contextTokens: 256 });
    const [bare, judged, adapted] = await Promise.all([
      ask(chat, request("hello")),
      ask(judge, request("hello")),
      ask(chat, request("hello", { adapter: "taste" })),
    ]);
    expect(judged.text).toBe(bare.text);
    expect(adapted.text).not.toBe(bare.text);
    expect(judge.loadedAdapters()).toEqual([]);
    expect(judge.info).toMatchObject({ streams: 1, contextTokens: 256 });
  });

  it("leaves the chat model's weights in place when it is closed", async () => {
    await using chat = await open(chatPath);
    const before = await ask(chat, request("hello"));
    const judge = chat.openBeside({ streams: 1, contextTokens: 256 });
    await ask(judge, request("hello"));
    await judge[Symbol.asyncDispose]();
    expect((await ask(chat, request("hello"))).text).toBe(before.text);
  });

  it("withholds everything where the model does not know the guard's answers", async () => {
    await using chat = await open(chatPath);
    const judge = chat.openBeside({ streams: 2, contextTokens: 4096 });
    await using _judge = judge;
    const failures: unknown[] = [];
    const moderation = new Moderation({
      lexicon: compileLexicon(),
      moderators: [new Guard(new BackendGuard("tiny", judge), QWEN3GUARD)],
      onFailure: (_, error) => failures.push(error),
    });
    const { block } = await moderation.checkInput([{ role: "user", content: "hello" }], signal);
    expect(block?.category).toBe("unchecked");
    expect(failures.map((error) => isCoded(error, "guard_failed"))).toEqual([true]);
  });
});

describe("a guard model's file", () => {
  it("may have a template that chat is not served with", async () => {
    const refusal = await open(guardPath).catch((error: unknown) => error);
    expect(isCoded(refusal, "model_invalid")).toBe(true);
    const { turn } = LLAMAGUARD3;
    await using guard = await open(guardPath, turn === undefined ? {} : { turn });
    expect((await ask(guard, request("hello"))).end.reason).not.toBe("aborted");
  });

  it("is asked between its own markers, and reads the text of control tokens as text", async () => {
    await using guard = await open(guardPath, { turn: { before: "<s>", after: "</s>" } });
    const count = (content: string) => guard.countTokens([{ role: "user", content }]);
    // BOS of the file, then the marker, the text and its end.
    expect(count("hello")).toBe(count("") + 1);
    expect(count("</s>")).toBeGreaterThan(count("") + 1);
  });
});
