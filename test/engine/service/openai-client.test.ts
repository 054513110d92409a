/** The real local backend on a random model, spoken to by OpenAI's own client. */
import { join } from "node:path";
import fc from "fast-check";
import OpenAI, { APIError, APIUserAbortError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { publication, temporaryFolder } from "../adapters/adapter-fixture.ts";
import { post, serve } from "./test-service.ts";

let served: Awaited<ReturnType<typeof serve<LocalBackend>>>;
let openai: OpenAI;
let client: EngineClient;

beforeAll(async () => {
  const libraries = cpuLibraries();
  const folder = temporaryFolder();
  const modelPath = join(folder, "tiny.gguf");
  const { shape } = writeRandomModel(modelPath, { libraries });
  const backend = await openLocalBackend({
    modelPath,
    modelId: "tiny",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 128,
    streams: 4,
  });
  served = await serve(backend, { dataDir: folder, queueLimit: 64 });
  for (const [index, name] of ["night-1", "night-2"].entries()) {
    const adapterPath = join(folder, `${name}.gguf`);
    writeRandomAdapter(adapterPath, { libraries, shape, seed: index + 1 });
    const made = publication(name, { baseSha256: backend.info.sha256 });
    await served.registry.publish({ ...made, adapterPath });
  }
  openai = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: "none", maxRetries: 0 });
  client = new EngineClient({ url: served.url });
});

afterAll(async () => {
  await served.service.drain(0);
  await served.backend[Symbol.asyncDispose]();
});

const messages = [{ role: "user" as const, content: "hello there" }];
const greedy = { model: "tiny", messages, temperature: 0, max_tokens: 12 };

async function streamText(body: object): Promise<{ text: string; reason: string | null }> {
  const stream = await openai.chat.completions.create({ ...greedy, ...body, stream: true });
  let text = "";
  let reason: string | null = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    reason = chunk.choices[0]?.finish_reason ?? reason;
  }
  return { text, reason };
}

describe("OpenAI's client", () => {
  it("gets the same text whole and streamed", async () => {
    const whole = await openai.chat.completions.create(greedy);
    const [choice] = whole.choices;
    expect(choice?.message.content).not.toBe("");
    expect(choice?.finish_reason).toBe("length");
    expect(whole.usage).toMatchObject({ completion_tokens: 12 });
    expect(await streamText({})).toEqual({ text: choice?.message.content, reason: "length" });
  });

  it("gets n answers that differ by seed, and the same ones again", async () => {
    const body = { ...greedy, temperature: 1.5, n: 3, seed: 11 };
    const texts = async () =>
      (await openai.chat.completions.create(body)).choices.map(({ message }) => message.content);
    const first = await texts();
    expect(new Set(first).size).toBe(3);
    expect(await texts()).toEqual(first);
  });

  it("gets text that ends before its stop string", async () => {
    const { text } = await streamText({ max_tokens: 24 });
    const stop = text.slice(6, 8);
    const stopped = await streamText({ max_tokens: 24, stop: [stop] });
    expect(stopped).toEqual({ text: text.slice(0, text.indexOf(stop)), reason: "stop" });
  });

  it("gets log-probabilities for each token, in both modes", async () => {
    const body = { ...greedy, logprobs: true, top_logprobs: 3 };
    const whole = await openai.chat.completions.create(body);
    const tokens = whole.choices[0]?.logprobs?.content ?? [];
    expect(tokens).toHaveLength(12);
    for (const token of tokens) {
      expect(token.top_logprobs).toHaveLength(3);
      expect(token.logprob).toBeLessThanOrEqual(0);
      expect(token.top_logprobs[0]?.logprob).toBeGreaterThanOrEqual(token.logprob);
    }
    const streamed = [];
    for await (const chunk of await openai.chat.completions.create({ ...body, stream: true })) {
      streamed.push(...(chunk.choices[0]?.logprobs?.content ?? []));
    }
    expect(streamed.map(({ token }) => token)).toEqual(tokens.map(({ token }) => token));
  });

  it("gets errors as its own classes, with codes", async () => {
    const failing = (body: object) =>
      openai.chat.completions.create({ ...greedy, ...body }).catch((error: unknown) => error);
    const cases: [object, object][] = [
      [{ model: "gpt-4" }, { status: 404, code: "model_not_found", param: "model" }],
      [{ temperature: 9 }, { status: 400, code: "invalid_request", param: "temperature" }],
      [
        { messages: [{ role: "user", content: "hello ".repeat(200) }] },
        { status: 400, code: "context_length_exceeded", param: "messages" },
      ],
    ];
    for (const [body, expected] of cases) {
      const error = await failing(body);
      expect(error).toBeInstanceOf(APIError);
      expect(error).toMatchObject(expected);
    }
  });

  it("leaves when its person does, and the others go on", async () => {
    const leave = new AbortController();
    const stream = await openai.chat.completions.create(
      { ...greedy, temperature: 1, max_tokens: 100, stream: true },
      { signal: leave.signal },
    );
    await stream[Symbol.asyncIterator]().next();
    leave.abort();
    const others = await Promise.all(
      Array.from({ length: 6 }, () => openai.chat.completions.create(greedy)),
    );
    expect(new Set(others.map((other) => other.choices[0]?.finish_reason))).toEqual(
      new Set(["length"]),
    );
    const gone = openai.chat.completions.create(greedy, { signal: AbortSignal.abort() });
    await expect(gone).rejects.toBeInstanceOf(APIUserAbortError);
  });

  it("lists the models", async () => {
    const names = (await openai.models.list()).data.map(({ id }) => id);
    expect(names.slice(0, 2)).toEqual(["tiny", "tiny:base"]);
    expect(await openai.models.retrieve("tiny:base")).toMatchObject({ object: "model" });
  });
});

it("any valid request is served by the real model, whatever its text and settings", async () => {
  const content = fc.string({ unit: "binary", maxLength: 40 });
  const turn = fc.record({ role: fc.constantFrom("system", "user", "assistant"), content });
  const settings = fc.record(
    {
      messages: fc.array(turn, { minLength: 1, maxLength: 4 }),
      temperature: fc.constantFrom(0, 1e-9, 0.7, 2),
      top_p: fc.constantFrom(1e-9, 0.5, 1),
      top_k: fc.constantFrom(0, 1, 1_000_000),
      min_p: fc.constantFrom(0, 0.5, 1),
      seed: fc.maxSafeInteger(),
      stop: fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { maxLength: 3 }),
      n: fc.constantFrom(1, 1, 16),
      stream: fc.boolean(),
      logprobs: fc.constant(true),
      top_logprobs: fc.constantFrom(0, 20),
    },
    { requiredKeys: ["messages", "logprobs"] },
  );
  await fc.assert(
    fc.asyncProperty(settings, async (body) => {
      const response = await post(served.url, { ...body, max_tokens: 3 });
      const text = await response.text();
      if (response.status === 400) expect(text).toContain("context_length_exceeded");
      else expect(response.status, text).toBe(200);
      expect(text).not.toContain("event: error");
    }),
    { numRuns: 80 },
  );
  expect((await client.health()).queue).toMatchObject({ waiting: 0, running: 0 });
});

describe("adapters", () => {
  const text = async (model: string) => {
    const { answers, adapter } = await client.complete({
      model,
      messages,
      temperature: 0,
      maxTokens: 12,
    });
    return { text: answers[0]?.text, adapter };
  };

  it("swap under load: each request ends on the one that it began with", async () => {
    const base = await text("tiny:base");
    const alone = new Map<string | null, string | undefined>([[null, base.text]]);
    for (const name of ["night-1", "night-2"]) {
      await client.activate(name);
      alone.set(name, (await text("tiny")).text);
    }
    expect(new Set(alone.values()).size, "each adapter says something else").toBe(3);
    let isOver = false;
    const chats = Array.from({ length: 8 }, async () => {
      const seen = [];
      while (!isOver) seen.push(await text("tiny"));
      return seen;
    });
    for (const name of ["night-1", "base", "night-2", "night-1"]) await client.activate(name);
    isOver = true;
    const seen = (await Promise.all(chats)).flat();
    expect(seen.length).toBeGreaterThanOrEqual(8);
    for (const { adapter, text: said } of seen) expect(said).toBe(alone.get(adapter));
    expect(await text("tiny:base")).toEqual(base);
    expect(await text("tiny:night-1")).toEqual({ adapter: "night-1", text: alone.get("night-1") });
  });

  it("are named in the answer's header, and listed", async () => {
    await client.activate("night-2");
    const { response } = await openai.chat.completions.create(greedy).withResponse();
    expect(response.headers.get("x-zephyr-adapter")).toBe("night-2");
    expect(await client.adapters()).toMatchObject({
      active: "night-2",
      adapters: [
        { name: "night-1", active: false, gate_passed: true },
        { name: "night-2", active: true, loaded: true },
      ],
    });
    expect(await client.models()).toContain("tiny:night-2");
    expect(await client.activate("base")).toEqual({
      active: null,
      previous: "night-2",
      canary: null,
    });
  });
});
