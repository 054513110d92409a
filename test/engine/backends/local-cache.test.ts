import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import type { LocalBackendOptions } from "#engine/backends/local-limits.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { until } from "../service/scripted-backend.ts";
import { type Answer, ask, request, sameGreedyAnswer } from "./ask.ts";
import { referenceAnswers } from "./reference.ts";

const folder = mkdtempSync(join(tmpdir(), "local-cache-"));
const modelPath = join(folder, "random.gguf");
const adapterPath = join(folder, "adapter.gguf");

beforeAll(() => {
  const libraries = cpuLibraries();
  // Heads of 32 numbers, as Q8_0 needs.
  const { shape } = writeRandomModel(modelPath, {
    libraries,
    shape: { nEmbd: 128, headDim: 32 },
  });
  writeRandomAdapter(adapterPath, { libraries, shape, seed: 1 });
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
    batchTokens: 32,
    ...more,
  });
}

const system = (kind: string): ChatMessage => ({
  role: "system",
  content: `You are ${kind}, you are brief, and you are the one that answers in the hall.`,
});
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
const asked = QUESTIONS.map((content, i): ChatMessage[] => [
  system(["kind", "wise", "calm"][i % 3] ?? ""),
  { role: "user", content },
]);
const toRequest = (messages: readonly ChatMessage[]) => request("", { messages });

function expectSame(answers: readonly Answer[], expected: readonly Answer[]): void {
  expect(answers).toHaveLength(expected.length);
  answers.forEach((answer, i) => {
    const other = expected[i];
    expect(other !== undefined && sameGreedyAnswer(answer, other), QUESTIONS[i]).toBe(true);
  });
}

describe("a pool of cells", () => {
  test("gives the answers that each conversation gets alone, from scratch", async () => {
    const alone = await referenceAnswers(modelPath, asked.map(toRequest));
    await using backend = await open({ streams: 8, cacheSetting: "pool" });
    const pooled = await Promise.all(asked.map((messages) => ask(backend, toRequest(messages))));
    expectSame(pooled, alone);
    const { decodes, microBatches } = backend.laneStats();
    expect(microBatches).toBe(decodes);
  });

  test("of few cells makes requests wait, and loses none of them or of their tokens", async () => {
    await using backend = await open({ streams: 8, cacheSetting: "pool", cells: 256 });
    const alone = await referenceAnswers(modelPath, asked.map(toRequest));
    const running = asked.map((messages) => ask(backend, toRequest(messages)));
    await until(() => backend.stats().busyStreams > 0);
    // 24 tokens of answer and a prompt of 80 to 90: two fit in 256 cells, three do not.
    expect(backend.stats().busyStreams).toBeLessThanOrEqual(2);
    expect(backend.stats().waiting).toBeGreaterThan(0);
    expectSame(await Promise.all(running), alone);
  });

  test("is what short memory leads to, as the plan says, and everyone is answered all the same", async () => {
    // What two conversations of 256 tokens and a little scratch take, in a machine that has no more.
    await using backend = await open({ streams: 8, freeBytes: 1_600_000 });
    expect(backend.info.memory).toMatch(/8 conversations share a pool of \d+ cells, as cells of/);
    const alone = await referenceAnswers(modelPath, asked.map(toRequest));
    expectSame(await Promise.all(asked.map((one) => ask(backend, toRequest(one)))), alone);
    const planned = Number(/a pool of (\d+) cells/.exec(backend.info.memory ?? "")?.[1]);
    expect(backend.stats().cache?.cells).toBe(planned);
    expect(planned).toBeLessThan(9 * 256);
  });

  test("serves a conversation of full length, though others hold cells that it needs", async () => {
    await using backend = await open({ streams: 4, cacheSetting: "pool", cells: 256 });
    await ask(backend, toRequest(asked[0] ?? []));
    const long = request("a ".repeat(100), { maxTokens: 1000 });
    const answer = await ask(backend, long);
    const room = 256 - backend.countTokens(long.messages);
    expect(answer.end).toMatchObject({ completionTokens: room });
  });
});

describe("KV in Q8_0", () => {
  test("takes 17 of F16's 32 bytes, and a greedy answer's first tokens stay the same", async () => {
    await using f16 = await open();
    await using q8 = await open({ cacheType: "q8_0" });
    const [plain, small] = [await ask(f16, request("hello")), await ask(q8, request("hello"))];
    expect(small.tokenIds.slice(0, 4)).toEqual(plain.tokenIds.slice(0, 4));
    expect(q8.info.memory).toContain("(q8_0)");
  });

  test("is refused for heads that its blocks do not fit, with what to set instead", async () => {
    const odd = join(folder, "odd.gguf");
    writeRandomModel(odd, { libraries: cpuLibraries() });
    await expect(open({ modelPath: odd, cacheType: "q8_0" })).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("KV_TYPE=f16"),
    });
  });
});

const parking = () => ({ folder: join(folder, "parked"), limitBytes: 50_000_000 });
const long = (topic: string, times = 8): ChatMessage[] => [
  { role: "user", content: `tell me about ${topic}, `.repeat(times) },
];
const next = (messages: ChatMessage[], answer: Answer): ChatMessage[] => [
  ...messages,
  { role: "assistant", content: answer.text },
  { role: "user", content: "and then?" },
];

describe("conversations parked on disk", () => {
  test.each([
    { cacheSetting: "sequences" as const },
    { cacheSetting: "pool" as const, cells: 512 },
  ])("come back with their KV and the answer of a fresh run (%o)", async (cache) => {
    await using backend = await open({ streams: 1, parking: parking(), ...cache });
    const first = await ask(backend, toRequest(long("the weather")));
    // Another conversation takes the only sequence.
    await ask(backend, toRequest(long("tea and cakes")));
    await until(() => backend.stats().cache?.parkedConversations === 1);
    const again = toRequest(next(long("the weather"), first));
    const before = backend.stats().cache?.reusedTokens ?? 0;
    const second = await ask(backend, again);
    const { cache: after } = backend.stats();
    expect(after?.returnedConversations).toBe(1);
    expect((after?.reusedTokens ?? 0) - before).toBeGreaterThan(
      backend.countTokens(long("the weather")) - 3,
    );
    const [fresh] = await referenceAnswers(modelPath, [again]);
    expect(fresh !== undefined && sameGreedyAnswer(second, fresh)).toBe(true);
  });

  test("never serve another adapter", async () => {
    await using backend = await open({ streams: 1, parking: parking() });
    await backend.loadAdapter("one", adapterPath);
    const first = toRequest(long("the weather"));
    await ask(backend, first);
    await ask(backend, toRequest(long("tea and cakes")));
    await until(() => backend.stats().cache?.parkedConversations === 1);
    const answer = await ask(backend, { ...first, adapter: "one" });
    const [fresh] = await referenceAnswers(modelPath, [first], adapterPath);
    expect(fresh !== undefined && sameGreedyAnswer(answer, fresh)).toBe(true);
    expect(backend.stats().cache?.returnedConversations).toBe(0);
  });

  test("are forgotten where there is no disk for them, and chats go on", async () => {
    const blocked = join(folder, "a-file");
    writeFileSync(blocked, "");
    const nowhere = { folder: join(blocked, "kv"), limitBytes: 1000 };
    await using backend = await open({ streams: 1, parking: nowhere });
    expect(backend.info.memory).toContain("Idle conversations are not kept on disk: ");
    expect((await ask(backend, request("hello"))).end.completionTokens).toBeGreaterThan(0);
  });

  test("leave with the adapter that computed them", async () => {
    await using backend = await open({ streams: 1, parking: parking() });
    await backend.loadAdapter("one", adapterPath);
    const ofOne = (topic: string) => ({ ...toRequest(long(topic)), adapter: "one" });
    await ask(backend, ofOne("the weather"));
    await ask(backend, ofOne("tea and cakes"));
    await until(() => backend.stats().cache?.parkedConversations === 1);
    await backend.unloadAdapter("one");
    expect(backend.stats().cache).toMatchObject({ parkedConversations: 0, parkedBytes: 0 });
  });
});

describe("conversations on their way to disk and back", () => {
  test("many that go to and fro at once, some aborted, all answer as fresh runs", async () => {
    const topics = ["tea", "bread", "stars", "boats", "stones"];
    await using backend = await open({ streams: 2, parking: parking() });
    const talks = await Promise.all(
      topics.map(async (topic, i) => {
        let messages = long(topic, 4);
        for (let turn = 0; turn < 3; turn += 1) {
          if ((i + turn) % 4 === 3) {
            await ask(backend, { ...toRequest(messages), signal: AbortSignal.timeout(1) });
          }
          messages = next(messages, await ask(backend, { ...toRequest(messages), maxTokens: 6 }));
        }
        return messages;
      }),
    );
    const last = talks.map(toRequest);
    const answers = [];
    for (const one of last) answers.push(await ask(backend, one));
    expectSame(answers, await referenceAnswers(modelPath, last));
    expect(backend.stats().cache?.returnedConversations).toBeGreaterThan(0);
    expect(backend.stats()).toMatchObject({ busyStreams: 0, waiting: 0 });
  });
});
