import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Backend } from "#engine/backends/backend.ts";
import { openRemoteBackend } from "#engine/backends/remote/remote.ts";
import type { BackendKind } from "#engine/backends/remote/vendor.ts";
import { isCoded } from "#engine/base/errors.ts";
import { ask, request } from "../ask.ts";
import { reply, say, startVendor } from "./vendor-server.ts";

let nowMs = 0;
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };

function open(url: string, kind: BackendKind = "openai", waits: number[] = []): Promise<Backend> {
  return openRemoteBackend({
    url,
    kind,
    apiKey: "secret",
    model: "base-model",
    contextTokens: 256,
    streams: 4,
    clock,
    pause: {
      sleep: async (ms) => {
        waits.push(ms);
      },
      random: () => 1,
    },
  });
}

const codeOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  return isCoded(error) ? error.code : error;
};
const folder = () => mkdtempSync(join(tmpdir(), "remote-"));

describe("a remote backend", () => {
  it("asks by OpenAI's wire, with the key and the vendor-neutral sampling", async () => {
    const { url, requests } = await startVendor();
    await using backend = await open(`${url}/v1/`);
    const answered = await ask(backend, request("hi", { stop: ["END"], maxTokens: 9 }));
    expect(answered).toMatchObject({
      text: "hello there",
      end: { reason: "stop", completionTokens: 2 },
    });
    const sent = requests.find(({ path }) => path === "/v1/chat/completions");
    expect(sent).toMatchObject({
      authorization: "Bearer secret",
      body: {
        model: "base-model",
        stream: true,
        messages: [{ role: "user", content: "hi" }],
        temperature: 0,
        max_tokens: 9,
        stop: ["END"],
        logprobs: true,
        top_logprobs: 2,
      },
    });
    expect(sent?.body).not.toHaveProperty("top_k");
  });

  it("tries again while the server is not ready, with growing pauses, before an answer began", async () => {
    let refusals = 2;
    const { url, calls } = await startVendor(({ path }, response) =>
      path === "/v1/chat/completions" && refusals-- > 0
        ? reply(response, { error: { message: "loading" } }, 503)
        : undefined,
    );
    const waits: number[] = [];
    await using backend = await open(url, "openai", waits);
    expect((await ask(backend, request("hi"))).text).toBe("hello there");
    expect(waits).toEqual([250, 500]);
    expect(calls().filter((call) => call.startsWith("POST"))).toHaveLength(3);
  });

  it("waits as long as the server asks for, unless that is long", async () => {
    const busyFor = (seconds: string) =>
      startVendor(({ path }, response) => {
        if (path !== "/v1/chat/completions") return undefined;
        response.writeHead(429, { "retry-after": seconds }).end("{}");
        return true;
      });
    const waits: number[] = [];
    const brief = await open((await busyFor("2")).url, "openai", waits);
    expect(await codeOf(ask(brief, request("hi")))).toBe("queue_full");
    expect(waits).toEqual([2_000, 2_000]);
    waits.length = 0;
    const long = await open((await busyFor("60")).url, "openai", waits);
    expect(await codeOf(ask(long, request("hi")))).toBe("queue_full");
    expect(waits).toEqual([]);
  });
});

describe("a remote answer", () => {
  it("is never repeated once it had begun", async () => {
    const { url, calls } = await startVendor(({ path }, response) => {
      if (path !== "/v1/chat/completions") return undefined;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: "half" } }] })}\n\n`);
      setImmediate(() => response.destroy());
      return true;
    });
    await using backend = await open(url);
    expect(await codeOf(ask(backend, request("hi")))).toBe("backend_unreachable");
    expect(calls().filter((call) => call.startsWith("POST"))).toHaveLength(1);
  });

  it("is an error where the stream ended too soon, or tells of one", async () => {
    const lines = [
      "data: [DONE]\n\n",
      `data: ${JSON.stringify({ error: { message: "out of memory" } })}\n\n`,
    ];
    const { url } = await startVendor(({ path }, response) => {
      if (path !== "/v1/chat/completions") return undefined;
      response.writeHead(200, { "content-type": "text/event-stream" }).end(lines.shift());
      return true;
    });
    await using backend = await open(url);
    await expect(ask(backend, request("hi"))).rejects.toThrow("ended before the answer did");
    await expect(ask(backend, request("hi"))).rejects.toThrow("out of memory");
  });

  it("is not waited for from a server that is gone, until it was left alone for a while", async () => {
    const { url, close } = await startVendor();
    await using backend = await open(url);
    expect(backend.problem).toBeUndefined();
    await close();
    for (let i = 0; i < 2; i++) {
      expect(await codeOf(ask(backend, request("hi")))).toBe("backend_unreachable");
    }
    expect(backend.problem).toContain("does not answer");
    await expect(ask(backend, request("hi"))).rejects.toThrow("tried again in 10 s");
    await startVendor(undefined, Number(new URL(url).port));
    await expect(ask(backend, request("hi"))).rejects.toThrow("failed repeatedly");
    nowMs += 10_000;
    expect((await ask(backend, request("hi"))).text).toBe("hello there");
    expect(backend.problem).toBeUndefined();
  });

  it("ends on the server too when its reader left", async () => {
    let closed = false;
    const { url } = await startVendor(({ path }, response) => {
      if (path !== "/v1/chat/completions") return undefined;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: "one" } }] })}\n\n`);
      response.on("close", () => {
        closed = true;
      });
      return true;
    });
    await using backend = await open(url);
    for await (const event of backend.generate(request("hi"))) if (event.type === "text") break;
    await expect.poll(() => closed).toBe(true);
    expect(backend.stats().busyStreams).toBe(0);
  });

  it.each([
    [400, { error: { message: "maximum context length is 512 tokens" } }, "prompt_too_long"],
    [404, { error: { message: "no such model" } }, "model_unknown"],
    [401, { error: { message: "bad key" } }, "backend_refused"],
    [400, { error: "unknown field" }, "invalid_request"],
    [405, { error: "no such method" }, "backend_refused"],
  ])("maps a refusal %s %j to %s", async (status, body, code) => {
    const { url } = await startVendor(({ path }, response) =>
      path === "/v1/chat/completions" ? reply(response, body, status) : undefined,
    );
    await using backend = await open(url);
    expect(await codeOf(ask(backend, request("hi")))).toBe(code);
  });
});

describe("remote embeddings", () => {
  it("come back in the order of the texts, whatever the server's", async () => {
    const { url } = await startVendor(({ path }, response) =>
      path === "/v1/embeddings"
        ? reply(response, {
            data: [
              { index: 1, embedding: [0, 1] },
              { index: 0, embedding: [1, 0] },
            ],
            usage: { prompt_tokens: 4 },
          })
        : undefined,
    );
    await using backend = await open(url);
    expect(await backend.embed?.(["a", "b"], new AbortController().signal)).toEqual({
      vectors: [
        [1, 0],
        [0, 1],
      ],
      tokens: 4,
    });
  });
});

describe("vLLM", () => {
  it("loads an adapter's PEFT export in place, serves it by its name, and unloads it", async () => {
    const { url, requests } = await startVendor();
    await using backend = await open(url, "vllm");
    const path = join(folder(), "adapter.gguf");
    expect(await codeOf(backend.loadAdapter("night", path))).toBe("adapter_incompatible");
    const peft = join(path, "..", "peft");
    mkdirSync(peft);
    writeFileSync(join(peft, "adapter_config.json"), "{}");
    await backend.loadAdapter("night", path);
    await ask(backend, request("hi", { adapter: "night" }));
    await ask(backend, request("hi"));
    await backend.unloadAdapter("night");
    const posts = requests.filter(({ method }) => method === "POST");
    expect(posts.map(({ path: at, body }) => [at, body["lora_name"] ?? body["model"]])).toEqual([
      ["/v1/load_lora_adapter", "night"],
      ["/v1/chat/completions", "night"],
      ["/v1/chat/completions", "base-model"],
      ["/v1/unload_lora_adapter", "night"],
    ]);
    expect(posts[0]?.body).toMatchObject({ lora_path: peft, load_inplace: true });
    expect(await codeOf(ask(backend, request("hi", { adapter: "night" })))).toBe("adapter_unknown");
  });
});

describe("llama-server", () => {
  it("names every adapter's scale in each request, and loads none while it runs", async () => {
    const { url, requests } = await startVendor(({ path }, response) => {
      if (path === "/props") {
        return reply(response, { total_slots: 3, default_generation_settings: { n_ctx: 640 } });
      }
      if (path !== "/lora-adapters") return undefined;
      return reply(response, [
        { id: 0, path: "/a/adapters/one/adapter.gguf", scale: 0 },
        { id: 1, path: "/a/adapters/two/adapter.gguf", scale: 0 },
      ]);
    });
    await using backend = await open(url, "llama-server");
    expect(backend.info).toMatchObject({ contextTokens: 640, streams: 3 });
    await ask(backend, request("hi"));
    await backend.loadAdapter("one", "/b/adapters/one/adapter.gguf");
    await backend.loadAdapter("two", "/b/adapters/two/adapter.gguf");
    await ask(backend, request("hi", { adapter: "two" }));
    await ask(backend, request("hi"));
    const sent = requests.filter(({ path }) => path === "/v1/chat/completions");
    expect(sent.map(({ body }) => body["lora"])).toEqual([
      [
        { id: 0, scale: 0 },
        { id: 1, scale: 0 },
      ],
      [
        { id: 0, scale: 0 },
        { id: 1, scale: 1 },
      ],
      [
        { id: 0, scale: 0 },
        { id: 1, scale: 0 },
      ],
    ]);
    await expect(backend.loadAdapter("three", "/b/adapters/three/adapter.gguf")).rejects.toThrow(
      "--lora /b/adapters/three/adapter.gguf --lora-init-without-apply",
    );
  });
});

describe("Ollama", () => {
  it("makes a model of base and adapter, uploading the file once", async () => {
    let isThere = false;
    const { url, calls, requests } = await startVendor(({ method, path }, response) => {
      if (path === "/api/show")
        return reply(response, { model_info: { "llama.context_length": 4096 } });
      if (!path.startsWith("/api/blobs/")) return undefined;
      const status = method === "HEAD" && !isThere ? 404 : 201;
      isThere = true;
      response.writeHead(status).end();
      return true;
    });
    await using backend = await open(url, "ollama");
    expect(backend.info.contextTokens).toBe(4096);
    const path = join(folder(), "adapter.gguf");
    writeFileSync(path, "GGUF…");
    await backend.loadAdapter("night", path);
    await backend.loadAdapter("night", path);
    await ask(backend, request("hi", { adapter: "night" }));
    await backend.unloadAdapter("night");
    expect(calls().filter((call) => call.startsWith("POST /api/blobs/sha256:"))).toHaveLength(1);
    expect(requests.find(({ path: at }) => at === "/api/create")?.body).toMatchObject({
      model: "base-model-night",
      from: "base-model",
      adapters: { "adapter.gguf": expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
    });
    expect(requests.find(({ path: at }) => at.endsWith("completions"))?.body["model"]).toBe(
      "base-model-night",
    );
    expect(calls().at(-1)).toBe("DELETE /api/delete");
  });
});

describe("LM Studio", () => {
  it("tells its context, and says what to do about adapters", async () => {
    const { url } = await startVendor(({ path }, response) =>
      path === "/api/v0/models"
        ? reply(response, { data: [{ id: "base-model", loaded_context_length: 1024 }] })
        : undefined,
    );
    await using backend = await open(url, "lm-studio");
    expect(backend.info.contextTokens).toBe(1024);
    await expect(backend.loadAdapter("night", "/x")).rejects.toThrow("adapters merge");
  });
});

describe("text-generation-webui", () => {
  it("switches its one adapter only when no request on another one runs", async () => {
    const held: (() => void)[] = [];
    const { url, calls } = await startVendor(({ path }, response) => {
      if (path === "/v1/internal/lora/list") return reply(response, { lora_names: ["night"] });
      if (path !== "/v1/chat/completions") return undefined;
      held.push(() => say(response, ["done"]));
      return true;
    });
    await using backend = await open(url, "text-generation-webui");
    await backend.loadAdapter("night", "/x/night/adapter.gguf");
    expect(await codeOf(backend.loadAdapter("other", "/x"))).toBe("adapter_incompatible");
    const onBase = ask(backend, request("hi"));
    await expect.poll(() => held.length).toBe(1);
    const onNight = ask(backend, request("hi", { adapter: "night" }));
    expect(calls().filter((call) => call.endsWith("lora/load"))).toEqual([]);
    held[0]?.();
    await onBase;
    await expect.poll(() => held.length).toBe(2);
    held[1]?.();
    expect((await onNight).adapter).toBe("night");
    expect(calls().slice(2)).toEqual([
      "POST /v1/internal/lora/unload",
      "POST /v1/chat/completions",
      "POST /v1/internal/lora/unload",
      "POST /v1/internal/lora/load",
      "POST /v1/chat/completions",
    ]);
  });
});
