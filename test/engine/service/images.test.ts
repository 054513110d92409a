/** Pictures in requests: by the official client, to a server that takes them, refused where none does. */
import OpenAI from "openai";
import { describe, expect, it, onTestFinished } from "vitest";
import { openRemoteBackend } from "#engine/backends/remote/remote.ts";
import type { BackendKind } from "#engine/backends/remote/vendor.ts";
import { systemClock } from "#engine/base/clock.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { IMAGE_BYTES, imageProblem } from "#engine/service/chat/chat-images.ts";
import { parseChatRequest } from "#engine/service/chat/chat-request.ts";
import { reply, startVendor } from "../backends/remote/vendor-server.ts";
import { ask, post, serve, startScripted } from "./test-service.ts";

const HEADS = {
  png: "89504e470d0a1a0a",
  jpeg: "ffd8ffe0",
  gif: "474946383961",
  webp: "524946460000000057454250",
};

/** As much of a file as is looked at, and zeros. */
function picture(type: keyof typeof HEADS, bytes = 64): string {
  const file = Buffer.alloc(bytes);
  file.write(HEADS[type], "hex");
  return `data:image/${type};base64,${file.toString("base64")}`;
}

const part = (url: string) => ({ type: "image_url" as const, image_url: { url } });

async function serveVendor(
  kind: BackendKind,
  facts: Record<string, unknown>,
  images?: "on" | "off",
) {
  const vendor = await startVendor(({ path }, response) =>
    facts[path] === undefined ? undefined : reply(response, facts[path]),
  );
  const backend = await openRemoteBackend({
    url: vendor.url,
    kind,
    model: "base-model",
    contextTokens: 4096,
    streams: 2,
    clock: systemClock,
    ...(images === undefined ? {} : { images }),
  });
  const served = await serve(backend);
  onTestFinished(async () => {
    await served.service.drain(0);
    await backend[Symbol.asyncDispose]();
  });
  return { ...served, vendor };
}

describe("a picture", () => {
  it("reaches the server in its place between the words, and counts for the window", async () => {
    const facts = { "/props": { modalities: { vision: true } }, "/lora-adapters": [] };
    const { url, vendor, backend } = await serveVendor("llama-server", facts);
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const content = [
      { type: "text" as const, text: "Before" },
      { type: "image_url" as const, image_url: { url: picture("png"), detail: "low" as const } },
      { type: "text" as const, text: "after</s>" },
    ];
    const { choices, usage } = await openai.chat.completions.create({
      model: "base-model",
      messages: [{ role: "user", content }],
    });
    expect(choices[0]?.message.content).toBe("hello there");
    expect(usage?.prompt_tokens).toBeGreaterThan(1_000);
    const sent = vendor.requests.find(({ path }) => path === "/v1/chat/completions")?.body;
    expect(sent?.["messages"]).toEqual([
      { role: "user", content: [content[0], content[1], { type: "text", text: "after< /s>" }] },
    ]);
    expect(backend.info.images).toEqual({ can: true });
  });

  it("goes with the engine's own client, which asks beforehand whether there are eyes", async () => {
    const { url, vendor } = await serveVendor("ollama", {
      "/api/show": { capabilities: ["completion", "vision"] },
    });
    const client = new EngineClient({ url });
    expect((await client.health()).model.input_modalities).toContain("image");
    const parts = [
      { type: "image" as const, url: picture("jpeg") },
      { type: "text" as const, text: "What is this?" },
    ];
    const messages = [{ role: "user" as const, content: "What is this?", parts }];
    expect((await client.complete({ messages })).answers[0]?.text).toBe("hello there");
    const sent = vendor.requests.find(({ path }) => path === "/v1/chat/completions")?.body;
    expect(sent?.["messages"]).toEqual([
      { role: "user", content: [part(picture("jpeg")), { type: "text", text: "What is this?" }] },
    ]);
  });

  it("may be as large as several photographs, which plain requests may not", async () => {
    const { url } = await serveVendor("openai", {}, "on");
    const large = [part(picture("png", IMAGE_BYTES)), part(picture("webp", IMAGE_BYTES))];
    expect(
      (await post(url, ask("x", { messages: [{ role: "user", content: large }] }))).status,
    ).toBe(200);
    const wordy = await post(url, ask("x".repeat(2 << 20)));
    expect((await wordy.json()).error.message).toContain("at most 1048576 characters");
    const blind = await startScripted();
    expect((await post(blind.url, ask("x".repeat(2 << 20)))).status).toBe(413);
  });

  it.each([
    [
      "llama-server",
      { "/props": { modalities: { vision: false } }, "/lora-adapters": [] },
      "reads text alone",
    ],
    [
      "lm-studio",
      { "/api/v0/models": { data: [{ id: "base-model", type: "llm" }] } },
      "reads text alone",
    ],
    ["vllm", {}, "BACKEND_IMAGES=on"],
  ] as const)("is refused by the word of %s", async (kind, facts, why) => {
    const { url, vendor } = await serveVendor(kind, facts);
    const body = { messages: [{ role: "user", content: [part(picture("gif"))] }] };
    const response = await post(url, body);
    expect(response.status).toBe(400);
    expect((await response.json()).error).toMatchObject({
      param: "messages",
      message: expect.stringContaining(why),
    });
    expect(vendor.requests.some(({ path }) => path === "/v1/chat/completions")).toBe(false);
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({
      data: expect.arrayContaining([expect.objectContaining({ input_modalities: ["text"] })]),
    });
  });

  it("is kept from a model that could see it where the operator wants that", async () => {
    const facts = { "/api/v0/models": { data: [{ id: "base-model", type: "vlm" }] } };
    expect((await serveVendor("lm-studio", facts)).backend.info.images.can).toBe(true);
    expect((await serveVendor("lm-studio", facts, "off")).backend.info.images.can).toBe(false);
  });
});

describe("a picture's address", () => {
  it.each(["png", "jpeg", "gif", "webp"] as const)("may hold a %s", (type) => {
    expect(imageProblem(picture(type), "data")).toBeUndefined();
  });

  it.each([
    [`data:image/svg+xml;base64,${Buffer.from("<svg/>").toString("base64")}`, "data:image/png"],
    [picture("png").replace("image/png", "image/jpeg"), "image/jpeg as it says"],
    ["data:image/png;base64,not base64!", "expected base64"],
    ["data:image/png;base64,", "expected base64"],
    [picture("png", IMAGE_BYTES + 3), "at most 5 MiB"],
    ["https://example.org/cat.png", "data:image/png"],
    ["http://169.254.169.254/latest/meta-data", "data:image/png"],
    ["file:///etc/passwd", "data:image/png"],
  ])("%#: may not be of another kind or too large", (url, why) => {
    expect(imageProblem(url, "data")).toContain(why);
  });

  it("may be one that the server fetches where the operator allows that, and then of https alone", () => {
    expect(imageProblem("https://example.org/cat.png", "https")).toBeUndefined();
    expect(imageProblem(`https://example.org/${"x".repeat(3_000)}`, "https")).toContain("2048");
    expect(imageProblem("http://example.org/cat.png", "https")).toContain("https");
  });

  it("is named in the refusal by its place, and there are sixteen of them at most", () => {
    const of = (content: unknown) => () =>
      parseChatRequest({ messages: [{ role: "user", content }] });
    expect(of([{ type: "text", text: "x" }, part("ftp://x")])).toThrow(
      "messages[0].content[1].image_url.url",
    );
    expect(of(Array(17).fill(part(picture("png"))))).toThrow("at most 16 pictures, got 17");
  });
});
