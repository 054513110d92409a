import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import type { LocalBackendOptions } from "#engine/backends/local-limits.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { type Answer, ask, request, sameGreedyAnswer } from "./ask.ts";
import { referenceAnswers } from "./reference.ts";

const folder = mkdtempSync(join(tmpdir(), "local-backend-"));
const modelPath = join(folder, "random.gguf");

beforeAll(() => {
  writeRandomModel(modelPath, { libraries: cpuLibraries() });
});

afterAll(() => rmSync(folder, { recursive: true }));

function open(more: Partial<LocalBackendOptions> = {}): Promise<LocalBackend> {
  return openLocalBackend({
    modelPath,
    modelId: "random",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 256,
    streams: 4,
    ...more,
  });
}

const SYSTEM: ChatMessage = {
  role: "system",
  content: "You are kind, you are brief, and you are the one that answers in the hall.",
};
const QUESTIONS = [
  "hello",
  "what is the time",
  "1 2 3 4 5",
  "and then",
  "é 😀",
  "why",
  "so",
  "ok?",
];

/** Each conversation answered from scratch, one after the other. */
function answersAlone(conversations: readonly ChatMessage[][]): Promise<readonly Answer[]> {
  return referenceAnswers(
    modelPath,
    conversations.map((messages) => request("", { messages })),
  );
}

function expectSameAnswers(answers: readonly Answer[], expected: readonly Answer[]): void {
  expect(answers).toHaveLength(expected.length);
  answers.forEach((answer, i) => {
    const other = expected[i];
    expect(other !== undefined && sameGreedyAnswer(answer, other)).toBe(true);
  });
}

describe("batches", () => {
  test("greedy answers of eight interleaved streams equal each computed alone, from scratch", async () => {
    const asked = QUESTIONS.map((content): ChatMessage[] => [{ role: "user", content }]);
    const alone = await answersAlone(asked);
    await using backend = await open({ streams: 8, batchTokens: 16 });
    const together = await Promise.all(
      asked.map((messages) => ask(backend, request("", { messages }))),
    );
    expectSameAnswers(together, alone);
    expect(backend.laneStats().sequences).toBeGreaterThan(2 * backend.laneStats().decodes);
  });
});

describe("kept KV", () => {
  test("a system prompt shared by all is computed once, and answers stay the same", async () => {
    const asked = QUESTIONS.slice(0, 4).map((content): ChatMessage[] => [
      SYSTEM,
      { role: "user", content },
    ]);
    const alone = await answersAlone(asked);
    await using backend = await open({ streams: 4 });
    const together = await Promise.all(
      asked.map((messages) => ask(backend, request("", { messages }))),
    );
    expectSameAnswers(together, alone);
    // The system turn is 64 tokens of this vocabulary: computed once in the spare sequence, copied four times.
    expect(backend.laneStats().reusedTokens).toBe(4 * 64);
  });

  test("two system prompts at once get each its own conversations' answers", async () => {
    const other: ChatMessage = {
      role: "system",
      content: SYSTEM.content.replaceAll("kind", "wise"),
    };
    const asked = QUESTIONS.map((content, i): ChatMessage[] => [
      i % 2 === 0 ? SYSTEM : other,
      { role: "user", content },
    ]);
    const alone = await answersAlone(asked);
    await using backend = await open({ streams: 3, batchTokens: 24 });
    const together = await Promise.all(
      asked.map((messages) => ask(backend, request("", { messages }))),
    );
    expectSameAnswers(together, alone);
  });

  test("a conversation's next turn computes only what is new, with the answer of a fresh run", async () => {
    const turns: ChatMessage[] = [{ role: "user", content: "tell me about the weather and tea" }];
    await using backend = await open({ streams: 2 });
    const first = await ask(backend, request("", { messages: turns, maxTokens: 8 }));
    const more: ChatMessage[] = [
      ...turns,
      { role: "assistant", content: first.text },
      { role: "user", content: "and then?" },
    ];
    const before = backend.laneStats();
    const second = await ask(backend, request("", { messages: more }));
    expect(backend.laneStats().reusedTokens - before.reusedTokens).toBeGreaterThanOrEqual(
      backend.countTokens(turns) - 1,
    );
    const [fresh] = await answersAlone([more]);
    expect(fresh !== undefined && sameGreedyAnswer(second, fresh)).toBe(true);
  });
});

describe("sampling and limits", () => {
  let backend: LocalBackend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  const warm = (seed: number) =>
    request("hello", { sampling: { temperature: 1, topP: 0.95, topK: 40, minP: 0.02, seed } });

  test("the same seed draws the same answer, another seed another", async () => {
    const [one, again] = [await ask(backend, warm(7)), await ask(backend, warm(7))];
    const other = await ask(backend, warm(8));
    expect(again.tokenIds).toEqual(one.tokenIds);
    expect(other.tokenIds).not.toEqual(one.tokenIds);
  });

  test("max_tokens bounds the answer, which then ends for its length", async () => {
    const answer = await ask(backend, request("hello", { maxTokens: 5 }));
    expect(answer.end).toEqual({ type: "end", reason: "length", completionTokens: 5 });
    expect(answer.tokenIds).toHaveLength(5);
  });

  test("the answer ends before a stop string, wherever tokens cut it", async () => {
    const whole = await ask(backend, request("hello"));
    const stop = whole.text.slice(6, 9);
    const cut = await ask(backend, request("hello", { stop: [stop] }));
    expect(cut.end.reason).toBe("stop");
    expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
  });

  test("a greedy token is its own likeliest alternative, and log-probabilities are negative", async () => {
    for await (const event of backend.generate(request("hello", { topLogprobs: 3 }))) {
      if (event.type !== "text") continue;
      for (const entry of event.logprobs ?? []) {
        expect(entry.top).toHaveLength(3);
        expect(entry.top[0]).toMatchObject({ token: entry.token, logprob: entry.logprob });
        expect(entry.logprob).toBeLessThan(0);
      }
    }
  });

  test("an answer fills the context to its end and stops there", async () => {
    const long = "a ".repeat(100);
    const answer = await ask(backend, request(long, { maxTokens: 10_000 }));
    const room = 256 - backend.countTokens([{ role: "user", content: long }]);
    expect(answer.end).toEqual({ type: "end", reason: "length", completionTokens: room });
  });

  test("no message at all is refused", async () => {
    await expect(ask(backend, request("", { messages: [] }))).rejects.toMatchObject({
      code: "invalid_request",
    });
  });

  test("a prompt over the context is refused with both numbers", async () => {
    await expect(ask(backend, request("word ".repeat(300)))).rejects.toMatchObject({
      code: "prompt_too_long",
      message: expect.stringContaining("256"),
    });
  });
});

describe("aborting and waiting", () => {
  test("an abort while generating frees the stream for who waits", async () => {
    await using backend = await open({ streams: 1 });
    const controller = new AbortController();
    const long = request("hello", { maxTokens: 200, signal: controller.signal });
    const reasons: string[] = [];
    const first = (async () => {
      for await (const event of backend.generate(long)) {
        if (event.type === "text") controller.abort();
        if (event.type === "end") reasons.push(event.reason);
      }
    })();
    const second = await ask(backend, request("what"));
    await first;
    expect(reasons).toEqual(["aborted"]);
    expect(second.end.reason).toBe("length");
    expect(backend.stats()).toMatchObject({ busyStreams: 0, waiting: 0 });
  });

  test("an abort within a prompt takes effect after one more chunk at most", async () => {
    await using backend = await open({ streams: 1, batchTokens: 8 });
    const controller = new AbortController();
    const prompt = request("a ".repeat(90), { signal: controller.signal });
    let decodesAtAbort = 0;
    for await (const event of backend.generate(prompt)) {
      if (event.type !== "start") continue;
      decodesAtAbort = backend.stats().decodes;
      controller.abort();
    }
    expect(backend.stats().decodes - decodesAtAbort).toBeLessThanOrEqual(1);
    expect((await ask(backend, request("what", { maxTokens: 2 }))).end.completionTokens).toBe(2);
  });

  test("a reader that stops reading leaves its stream to others", async () => {
    await using backend = await open({ streams: 1 });
    for await (const event of backend.generate(request("hello", { maxTokens: 200 }))) {
      if (event.type === "text") break;
    }
    expect((await ask(backend, request("what", { maxTokens: 3 }))).end.completionTokens).toBe(3);
  });

  test("a request aborted before or while it waits ends as aborted and computes nothing", async () => {
    await using backend = await open({ streams: 1 });
    const running = ask(backend, request("hello", { maxTokens: 40 }));
    const waiting = new AbortController();
    const aborted = ask(backend, request("what", { signal: waiting.signal }));
    waiting.abort();
    const dead = ask(backend, request("why", { signal: AbortSignal.abort() }));
    expect((await aborted).end).toEqual({ type: "end", reason: "aborted", completionTokens: 0 });
    expect((await dead).end.reason).toBe("aborted");
    expect((await running).end.completionTokens).toBe(40);
  });

  test("the queue is bounded: one more than may wait is refused", async () => {
    await using backend = await open({ streams: 1, waiting: 2 });
    const accepted = ["hello", "what", "why"].map((text) => ask(backend, request(text)));
    await expect(ask(backend, request("too many"))).rejects.toMatchObject({ code: "queue_full" });
    expect((await Promise.all(accepted)).map(({ end }) => end.reason)).toHaveLength(3);
  });

  test("closing ends what runs and what waits as aborted", async () => {
    const backend = await open({ streams: 1 });
    const answers = ["hello", "what"].map((text) =>
      ask(backend, request(text, { maxTokens: 200 })),
    );
    await backend[Symbol.asyncDispose]();
    expect((await Promise.all(answers)).map(({ end }) => end.reason)).toEqual([
      "aborted",
      "aborted",
    ]);
  });
});

describe("model files", () => {
  test("a missing file is named", async () => {
    await expect(open({ modelPath: join(folder, "none.gguf") })).rejects.toMatchObject({
      code: "model_missing",
    });
  });

  test("text, a cut-off file and another architecture's numbers are refused, not crashed on", async () => {
    const text = join(folder, "text.gguf");
    writeFileSync(text, "GGUF and then nothing sensible at all");
    const cut = join(folder, "cut.gguf");
    const { bytes } = writeRandomModel(cut, { libraries: cpuLibraries() });
    truncateSync(cut, bytes - 1000);
    const odd = join(folder, "odd.gguf");
    writeRandomModel(odd, { libraries: cpuLibraries(), shape: { nHead: 3, nHeadKv: 2 } });
    for (const path of [text, cut, odd]) {
      await expect(open({ modelPath: path })).rejects.toMatchObject({ code: "model_invalid" });
    }
  });

  test("says what it serves", async () => {
    await using backend = await open({ contextTokens: 4096 });
    expect(backend.info).toMatchObject({ id: "random", contextTokens: 256, streams: 4 });
    expect(backend.info.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(backend.info.device).toContain("CPU");
  });
});
