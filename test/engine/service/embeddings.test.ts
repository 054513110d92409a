/** `/v1/embeddings` by the official client, from a real model. */
import { fileURLToPath } from "node:url";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { serve, startScripted } from "./test-service.ts";

const NANO = fileURLToPath(new URL("../../../deploy/models/nano/nano.gguf", import.meta.url));
let backend: LocalBackend;
let url: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  backend = await openLocalBackend({
    modelPath: NANO,
    modelId: "nano",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 256,
    streams: 1,
  });
  const served = await serve(backend);
  url = served.url;
  stop = () => served.service.drain(0);
});

afterAll(async () => {
  await stop();
  await backend[Symbol.asyncDispose]();
});

const client = (at: string) => new OpenAI({ baseURL: `${at}/v1`, apiKey: "none", maxRetries: 0 });
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

async function embed(...input: string[]) {
  const { data } = await client(url).embeddings.create({ model: "nano", input });
  return data.map(({ embedding }) => embedding);
}

describe("embeddings", () => {
  it("are vectors of length 1 as wide as the model, in the order of the texts", async () => {
    const [one, two, again] = await embed(
      "What is a volcano?",
      "Bread needs yeast.",
      "What is a volcano?",
    );
    expect(one).toHaveLength(256);
    expect(dot(one ?? [], one ?? [])).toBeCloseTo(1, 4);
    expect(dot(one ?? [], again ?? [])).toBeCloseTo(1, 4);
    expect(dot(one ?? [], two ?? [])).toBeLessThan(0.99);
  });

  it("of texts alike are nearer than of others", async () => {
    const [a, b, c] = await embed(
      "Tell me about volcanoes.",
      "Explain volcanoes.",
      "How do I bake bread?",
    );
    expect(dot(a ?? [], b ?? [])).toBeGreaterThan(dot(a ?? [], c ?? []));
  });

  it("are the same as numbers and in base64, and count their tokens", async () => {
    const send = async (encoding_format: "float" | "base64") =>
      client(url).embeddings.create({ model: "nano", input: "hello", encoding_format });
    const [numbers, packed] = await Promise.all([send("float"), send("base64")]);
    const bytes = Buffer.from(String(packed.data[0]?.embedding), "base64");
    const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    expect(floats[0]).toBeCloseTo(numbers.data[0]?.embedding[0] ?? 0, 5);
    expect(numbers.usage.prompt_tokens).toBeGreaterThan(1);
  });

  it.each([
    [{}],
    [{ input: [] }],
    [{ input: "" }],
    [{ input: [1, 2] }],
    [{ input: "x".repeat(9_000) }],
  ])("refuse %j with 400", async (body) => {
    const init = { method: "POST", body: JSON.stringify(body) };
    expect((await fetch(`${url}/v1/embeddings`, init)).status).toBe(400);
  });

  it("are refused plainly where what is served has none", async () => {
    const scripted = await startScripted();
    const work = client(scripted.url).embeddings.create({ model: "x", input: "hi" });
    await expect(work).rejects.toThrow("has no embeddings");
  });
});
