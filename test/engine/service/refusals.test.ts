import { createServer, request } from "node:http";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "#engine/base/clock.ts";
import { CodedError } from "#engine/base/errors.ts";
import { createLog } from "#engine/base/log.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { compileLexicon } from "#engine/moderation/lexical.ts";
import { Moderation } from "#engine/moderation/moderator.ts";
import { startService } from "#engine/service/server.ts";
import type { ScriptedRun } from "./scripted-backend.ts";
import { answer, ask, chat, collect, post, readEvents, startScripted } from "./test-service.ts";

async function errorOf(response: Response) {
  const { error } = await response.json();
  expect(error).toEqual({
    message: expect.stringMatching(/.{10,}/s),
    type: expect.any(String),
    param: error.param === null ? null : expect.any(String),
    code: expect.stringMatching(/^[a-z_]+$/),
  });
  return { status: response.status, ...error };
}

describe("a request that cannot be served", () => {
  it("with an unknown model is told what is served", async () => {
    const { url } = await startScripted();
    const error = await errorOf(await post(url, ask("hi", { model: "gpt-4" })));
    expect(error).toMatchObject({ status: 404, code: "model_not_found", param: "model" });
    expect(error.message).toContain("scripted, scripted:base");
    expect(await errorOf(await fetch(`${url}/v1/models/gpt-4`))).toMatchObject({ status: 404 });
  });

  it("over the context is told both lengths, and a huge one is not even counted", async () => {
    const { url, backend } = await startScripted();
    const error = await errorOf(await post(url, ask("a ".repeat(70))));
    expect(error).toMatchObject({ status: 400, code: "context_length_exceeded" });
    expect(error.message).toMatch(/72 tokens.*64 tokens/);
    backend.countTokens = () => {
      throw new Error("counted");
    };
    expect((await errorOf(await post(url, ask("a".repeat(5000))))).message).toContain("5000 char");
  });

  it("that is no JSON, too large, or of another method or path is told so", async () => {
    const { url } = await startScripted();
    const cases: [Response, object][] = [
      [await post(url, '{"messages": ['), { status: 400, code: "invalid_json" }],
      [await post(url, ""), { status: 400, code: "invalid_json" }],
      [await post(url, ask("a".repeat(1 << 20))), { status: 413, code: "body_too_large" }],
      [
        await fetch(`${url}/v1/chat/completions`),
        { status: 405, code: "method_not_allowed", message: expect.stringContaining("POST") },
      ],
      [await fetch(`${url}/v1/adapters`, { method: "DELETE" }), { status: 405 }],
      [await fetch(`${url}/v2/x`, { method: "POST" }), { status: 404, code: "not_found" }],
    ];
    for (const [response, expected] of cases)
      expect(await errorOf(response)).toMatchObject(expected);
  });

  it("that grows too large while it comes is stopped", async () => {
    const { url } = await startScripted();
    const piece = new Uint8Array(1 << 18).fill(97);
    let pieces = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (++pieces > 40) controller.close();
        else controller.enqueue(piece);
      },
    });
    const init = { method: "POST", body, duplex: "half" };
    const response = await fetch(`${url}/v1/chat/completions`, init).catch(() => undefined);
    // The connection may be cut before the whole body was taken; what counts is that it was not.
    if (response !== undefined) expect(response.status).toBe(413);
    expect(pieces).toBeLessThan(41);
    expect((await post(url, ask("still there?", { max_tokens: 0 }))).status).toBe(400);
  });
});

describe("a caller who may not", () => {
  it("without the key, or with a wrong one, is refused; health is not", async () => {
    const { url, client } = await startScripted({ apiKey: "sesame", script: answer("ok") });
    for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "Basic x" }]) {
      const error = await errorOf(await post(url, ask("hi"), { headers }));
      expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
      expect(error.message).toContain("ENGINE_API_KEY");
    }
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await client.complete(chat("hi"))).answers[0]?.text).toBe("ok");
    await expect(new EngineClient({ url }).models()).rejects.toMatchObject({
      code: "api_key_invalid",
    });
  });

  it("with any of several keys is served, and with the beginning of one is not", async () => {
    const keys = { apiKey: "sesame", clientKeys: ["poppy", "flax"] };
    const { url } = await startScripted({ ...keys, script: answer("ok") });
    const statusWith = async (key: string) =>
      (await post(url, ask("hi"), { headers: { authorization: `Bearer ${key}` } })).status;
    expect(await Promise.all(["sesame", "poppy", "flax"].map(statusWith))).toEqual([200, 200, 200]);
    expect(await Promise.all(["sesam", "poppyy", ""].map(statusWith))).toEqual([401, 401, 401]);
  });

  it("from a page of another site is refused, and so is another name for this machine", async () => {
    const { url } = await startScripted({ script: answer("ok") });
    const port = new URL(url).port;
    const status = (headers: Record<string, string>) =>
      new Promise((resolve, reject) => {
        const options = { port, path: "/v1/adapters/base/activate", method: "POST", headers };
        request(options, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end();
      });
    expect(await status({ host: `127.0.0.1:${port}` })).toBe(200);
    expect(await status({ host: `localhost:${port}`, origin: `http://localhost:${port}` })).toBe(
      200,
    );
    expect(await status({ host: `127.0.0.1:${port}`, origin: "https://evil.example" })).toBe(403);
    expect(await status({ host: `evil.example:${port}` })).toBe(403);
  });
});

describe("a failure", () => {
  it("before the first word is a status, with a code where one is known", async () => {
    const script = (run: ScriptedRun) =>
      run.fail(new CodedError("The adapter is gone.", { code: "native_failed" }));
    const { url } = await startScripted({ script });
    expect(await errorOf(await post(url, ask("hi")))).toMatchObject({
      status: 500,
      code: "native_failed",
      message: "The adapter is gone.",
    });
  });

  it("that no one foresaw says nothing of the inside", async () => {
    const { url } = await startScripted({ script: (run) => run.fail(new Error("secret path /x")) });
    const error = await errorOf(await post(url, ask("hi")));
    expect(error).toMatchObject({ status: 500, code: "internal_error", type: "server_error" });
    expect(error.message).not.toContain("secret");
  });

  it("after the stream began is an error event, and what was safe stays", async () => {
    const { url, client } = await startScripted({
      script: (run) => {
        run.say("Hello there ");
        run.fail(new CodedError("The decoder failed.", { code: "native_failed" }));
      },
    });
    const { data, names, last } = await readEvents(await post(url, ask("hi", { stream: true })));
    expect(names).toEqual(["error"]);
    expect(data.at(-1)).toEqual({
      error: {
        message: "The decoder failed.",
        type: "server_error",
        param: null,
        code: "native_failed",
      },
    });
    expect(last).not.toBe("[DONE]");
    await expect(collect(client.chat(chat("hi")))).rejects.toMatchObject({
      code: "native_failed",
      message: "The decoder failed.",
    });
  });
});

describe("any body at all", () => {
  it("gets an answer in the known shape, and never takes the service down", async () => {
    const { url } = await startScripted({ script: answer("ok") });
    const field = fc.constantFrom(
      ...["model", "messages", "temperature", "top_p", "top_k", "min_p", "seed", "max_tokens"],
      ...["stop", "n", "stream", "stream_options", "logprobs", "top_logprobs", "metadata"],
    );
    const message = fc.record(
      {
        role: fc.oneof(fc.constantFrom("user", "system", "tool"), fc.anything()),
        content: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.string(),
      fc.json(),
      fc.dictionary(field, fc.oneof(fc.anything(), fc.array(message))).map((value) => {
        // What JSON cannot say is left out or becomes null, as any client's encoder would have it.
        const plain = (_: string, part: unknown) =>
          typeof part === "bigint" ? Number(part) : part;
        return JSON.stringify(value, plain) ?? "";
      }),
    );
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        const response = await post(url, text);
        const status = response.status;
        expect([200, 400, 404]).toContain(status);
        if (status !== 200) await errorOf(response);
        else await response.text();
      }),
      { numRuns: 400 },
    );
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });
});

describe("a port that cannot be had", () => {
  it("that is taken is said in one sentence", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { backend, adapters } = await startScripted();
    const log = createLog("test", "silent");
    const moderation = new Moderation({ lexicon: compileLexicon(), onFailure: () => {} });
    const common = {
      backend,
      adapters,
      moderation,
      log,
      clock: systemClock,
      queueLimit: 1,
      deadlineMs: 1000,
    };
    await expect(startService({ ...common, host: "127.0.0.1", port })).rejects.toMatchObject({
      code: "address_in_use",
      message: expect.stringContaining(`Port ${port} on 127.0.0.1 is taken`),
    });
    await expect(startService({ ...common, host: "203.0.113.1", port: 0 })).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("ENGINE_HOST"),
    });
  });
});
