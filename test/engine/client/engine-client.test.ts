import { createServer, type RequestListener } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { EngineClient } from "#engine/client/engine-client.ts";
import { until } from "../service/scripted-backend.ts";
import { answer, chat, collect, startScripted } from "../service/test-service.ts";

/** A server that answers as a test wants, to be closed when the test ends. */
async function stub(listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return new EngineClient({ url: `http://127.0.0.1:${port}` });
}

describe("EngineClient", () => {
  it("streams text, then the end with reason, adapter and usage", async () => {
    const { client } = await startScripted({ script: answer("Hello you there.") });
    const chunks = await collect(client.chat(chat("hi")));
    expect(chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("")).toBe(
      "Hello you there.",
    );
    expect(chunks.at(-1)).toEqual({
      type: "end",
      reason: "stop",
      adapter: null,
      usage: { promptTokens: 2, completionTokens: 3 },
    });
  });

  it("gives n whole answers, by index, with their verdicts", async () => {
    const texts = ["Fine.", "You faggot.", "Well."];
    const { client } = await startScripted({
      streams: 3,
      script: (run) => answer(texts[run.request.sampling.seed] ?? "")(run),
    });
    const completion = await client.complete({ ...chat("hi"), n: 3, seed: 0 });
    expect(completion).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      adapter: null,
      usage: { promptTokens: 2, completionTokens: 4 },
      answers: [
        { text: "Fine.", reason: "stop" },
        {
          text: "",
          reason: "content_filter",
          verdict: { stage: "output", category: "slur", reason: expect.any(String) },
        },
        { text: "Well.", reason: "stop" },
      ],
    });
  });

  it("sends every setting that it is given, and none that it is not", async () => {
    const bodies: string[] = [];
    const client = await stub((request, response) => {
      request.on("data", (data) => bodies.push(String(data)));
      request.on("end", () => response.writeHead(500).end());
    });
    const full = {
      ...chat("hi"),
      model: "m",
      temperature: 0,
      topP: 0.5,
      topK: 1,
      minP: 0,
      seed: 3,
      maxTokens: 4,
      stop: ["x"],
      n: 2,
      metadata: { person: "p", guild: "g" },
    };
    await client.complete(full).catch(() => {});
    await client.complete(chat("hi")).catch(() => {});
    const streamed = { stream: true, stream_options: { include_usage: true } };
    expect(JSON.parse(bodies[0] ?? "")).toEqual({
      ...streamed,
      messages: [{ role: "user", content: "hi" }],
      model: "m",
      temperature: 0,
      top_p: 0.5,
      top_k: 1,
      min_p: 0,
      seed: 3,
      max_tokens: 4,
      stop: ["x"],
      n: 2,
      metadata: { person: "p", guild: "g" },
    });
    expect(JSON.parse(bodies[1] ?? "")).toEqual({ ...streamed, ...chat("hi"), n: 1 });
  });
});

describe("a client of the engine", () => {
  it("ends the request when its reader stops early, or its signal aborts", async () => {
    const { client, backend } = await startScripted();
    const early = (async () => {
      for await (const chunk of client.chat(chat("a"))) if (chunk.type === "text") return;
    })();
    const run = await backend.run(0);
    for (const word of ["one ", "two ", "three "]) run.say(word);
    await early;
    await until(() => run.isAborted);
    const leave = new AbortController();
    const left = collect(client.chat({ ...chat("b"), signal: leave.signal }));
    const second = await backend.run(1);
    leave.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    await until(() => second.isAborted);
    const whole = client.complete({ ...chat("c"), signal: AbortSignal.abort(new Error("never")) });
    await expect(whole).rejects.toThrow("never");
  });

  it("tells of health, models and adapters", async () => {
    const { client } = await startScripted();
    expect(await client.health()).toMatchObject({
      status: "ok",
      problems: [],
      adapter: null,
      model: { id: "scripted", context_tokens: 64, streams: 2, device: "a script" },
      queue: { waiting: 0, running: 0, limit: 8 },
    });
    expect(await client.models()).toEqual(["scripted", "scripted:base"]);
    expect(await client.adapters()).toEqual({ active: null, canary: null, adapters: [] });
    await expect(client.activate("missing")).rejects.toMatchObject({ code: "adapter_unknown" });
    await expect(client.activate("../etc")).rejects.toMatchObject({ code: "adapter_name_invalid" });
  });

  it("asks again, once, when an idle connection turns out to be closed", async () => {
    let asked = 0;
    const client = await stub((request, response) => {
      asked += 1;
      if (asked % 2 === 1) request.socket.destroy();
      else response.end('{"data":[{"id":"m"}]}');
    });
    expect(await client.models()).toEqual(["m"]);
    const dead = await stub((request) => {
      asked += 1;
      request.socket.destroy();
    });
    asked = 0;
    await expect(dead.models()).rejects.toMatchObject({ code: "engine_unreachable" });
    expect(asked).toBe(2);
  });

  it("takes an address with or without /v1", async () => {
    const { url } = await startScripted();
    for (const end of ["", "/", "/v1", "/v1/"]) {
      expect(await new EngineClient({ url: url + end }).models()).toHaveLength(2);
    }
  });
});

describe("an engine that does not answer as it should", () => {
  const unreachable = { name: "CodedError", code: "engine_unreachable" };

  it("because it is not there", async () => {
    const client = new EngineClient({ url: "http://127.0.0.1:1" });
    for (const call of [
      client.models(),
      client.complete(chat("x")),
      collect(client.chat(chat("x"))),
    ]) {
      await expect(call).rejects.toMatchObject(unreachable);
    }
    await expect(client.health()).rejects.toThrow(/127\.0\.0\.1:1 does not answer.*ENGINE_URL/);
  });

  it("because it is something else", async () => {
    const client = await stub((_request, response) => response.end("<html>"));
    await expect(client.models()).rejects.toMatchObject(unreachable);
    const other = await stub((_request, response) => response.end('{"data": 5}'));
    await expect(other.models()).rejects.toThrow("is not this project's engine's");
  });

  it("because it dies in the middle of a stream, or ends it too soon", async () => {
    for (const isKilled of [true, false]) {
      const client = await stub((_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write('data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n');
        if (isKilled) setImmediate(() => response.destroy());
        else response.end();
      });
      const texts: string[] = [];
      const reading = (async () => {
        for await (const chunk of client.chat(chat("x"))) {
          if (chunk.type === "text") texts.push(chunk.text);
        }
      })();
      await expect(reading).rejects.toMatchObject(unreachable);
      expect(texts).toEqual(["Hel"]);
    }
  });

  it("with events cut anywhere in the bytes", async () => {
    const text = "Grüße 🙂 你好";
    const event = (body: object) => `data: ${JSON.stringify(body)}\n\n`;
    const bytes = Buffer.from(
      `: queued position=3 wait_ms=1500\n\n${event({ choices: [{ index: 0, delta: { content: text } }] })}` +
        event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }], adapter: "a" }) +
        "data: [DONE]\n\n",
    );
    const client = await stub(async (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const byte of bytes) {
        if (!response.write(Buffer.of(byte))) await new Promise((go) => response.once("drain", go));
        await new Promise((go) => setImmediate(go));
      }
      response.end();
    });
    expect(await collect(client.chat(chat("x")))).toEqual([
      { type: "queued", position: 3, waitMs: 1500 },
      { type: "text", text },
      {
        type: "end",
        reason: "stop",
        adapter: "a",
        usage: { promptTokens: 0, completionTokens: 0 },
      },
    ]);
  });
});
