import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openLocalBackend } from "#engine/backends/local.ts";
import { cpuLibraries } from "../../../model/libraries.ts";
import { writeRandomAdapter } from "../../../model/random-adapter.ts";
import { writeRandomModel } from "../../../model/random-model.ts";
import { publication, temporaryFolder } from "../../adapters/adapter-fixture.ts";
import { ask as askBackend, request, sameGreedyAnswer } from "../../backends/ask.ts";
import { referenceAnswers } from "../../backends/reference.ts";
import { ask, post, serve } from "../test-service.ts";

const folder = mkdtempSync(join(tmpdir(), "adapters-over-http-"));
const modelPath = join(folder, "random.gguf");
const adapterPath = (name: string) => join(folder, `${name}.gguf`);

beforeAll(() => {
  const libraries = cpuLibraries();
  const { shape } = writeRandomModel(modelPath, { libraries });
  for (const [seed, name] of ["one", "two"].entries()) {
    writeRandomAdapter(adapterPath(name), { libraries, shape, seed });
  }
  // Fits no weight of the model that is served.
  const other = { ...shape, nEmbd: 96, headDim: 24 };
  writeRandomAdapter(adapterPath("other-shape"), { libraries, shape: other, seed: 3 });
  const baseArchitecture = "mamba";
  writeRandomAdapter(adapterPath("mamba"), { libraries, shape, seed: 4, baseArchitecture });
});

afterAll(() => rmSync(folder, { recursive: true }));

async function started() {
  const backend = await openLocalBackend({
    modelPath,
    modelId: "random",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 256,
    streams: 3,
    batchTokens: 32,
  });
  const served = await serve(backend, { dataDir: temporaryFolder() });
  onTestFinished(async () => {
    await served.service.drain(0);
    await backend[Symbol.asyncDispose]();
  });
  const baseSha256 = backend.info.sha256;
  const publish = (name: string, content: Uint8Array) =>
    served.registry.publish(publication(name, { baseSha256, content }));
  for (const name of ["one", "two"]) await publish(name, readFileSync(adapterPath(name)));
  const change = async (path: string, body?: object) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${served.url}/v1/adapters/${path}`, { method: "POST", ...init });
    return { status: response.status, body: await response.json() };
  };
  const answerOf = async (more: Record<string, unknown> = {}) => {
    const body = ask("tell me about the weather", { temperature: 0, max_tokens: 12, ...more });
    const answer = await (await post(served.url, body)).json();
    return { adapter: answer.adapter, text: answer.choices?.[0]?.message.content, ...answer };
  };
  return { ...served, publish, change, answerOf };
}

describe("adapters over HTTP", () => {
  it("are loaded, named by requests, activated, tried, deactivated and unloaded without a restart", async () => {
    const { change, answerOf, url } = await started();
    expect(await change("one/load")).toEqual({ status: 200, body: { name: "one", loaded: true } });
    const bare = await answerOf();
    const named = await answerOf({ model: "random:one" });
    expect([bare.adapter, named.adapter]).toEqual([null, "one"]);
    expect(named.text).not.toBe(bare.text);
    expect((await change("one/activate")).body).toMatchObject({ active: "one", canary: null });
    expect((await answerOf()).text).toBe(named.text);
    expect((await change("two/activate", { share: 0.999 })).body.canary).toEqual({
      name: "two",
      share: 0.999,
    });
    const health = await (await fetch(`${url}/health`)).json();
    expect(health).toMatchObject({ adapter: "one", canary: { name: "two", share: 0.999 } });
    expect((await answerOf({ metadata: { guild: "g1", person: "p" } })).adapter).toBe("two");
    expect((await answerOf()).adapter).toBe("one");
    expect((await change("two/unload")).body.error.code).toBe("adapter_in_use");
    expect((await change("two/deactivate")).body).toMatchObject({ active: "one", canary: null });
    expect((await change("one/deactivate")).body).toMatchObject({ active: null, previous: "one" });
    for (const name of ["one", "two"]) {
      const response = await change(`${name}/unload`);
      if (response.status === 200) {
        expect(response.body).toEqual({ name, loaded: false, draining: false });
      } else expect(response.body.error.code).toBe("adapter_unknown");
    }
    const gone = await answerOf({ model: "random:one" });
    expect(gone.error).toMatchObject({ code: "model_not_found", param: "model" });
    const list = await (await fetch(`${url}/v1/adapters`)).json();
    expect(list.adapters.map((adapter: { loaded: boolean }) => adapter.loaded)).toEqual([
      false,
      false,
    ]);
  });

  it("refuses shares that are none, and a trial of the bare weights", async () => {
    const { change } = await started();
    for (const share of [0, -1, 1.5, "half", null, {}]) {
      const { status, body } = await change("one/activate", { share });
      if (share === null) expect(status).toBe(200);
      else expect(body.error, String(share)).toMatchObject({ code: "invalid_request" });
    }
    expect((await change("base/activate", { share: 0.5 })).status).toBe(400);
  });
});

describe("an adapter that cannot be trusted", () => {
  it("is refused by its hash, its shape or its content, and the last good one serves", async () => {
    const { publish, change, answerOf, adapters } = await started();
    await change("one/activate");
    const good = await answerOf();
    const bytes = readFileSync(adapterPath("two"));
    const evil = Buffer.from(bytes);
    // A tensor count of 2^60: whoever allocates for it ends.
    evil.writeBigUInt64LE(1n << 60n, 8);
    const nan = Buffer.from(bytes);
    nan.fill(0xff, nan.length - 64);
    await publish("truncated", bytes.subarray(0, bytes.length - 1000));
    await publish("evil", evil);
    await publish("nan", nan);
    await publish("text", Buffer.from("GGUF, or so it says"));
    await publish("other-shape", readFileSync(adapterPath("other-shape")));
    await publish("mamba", readFileSync(adapterPath("mamba")));
    for (const name of ["truncated", "evil", "nan", "text", "other-shape", "mamba"]) {
      for (const verb of ["load", "activate"]) {
        const { status, body } = await change(`${name}/${verb}`);
        expect([name, status]).toEqual([name, 409]);
        expect(body.error.code).toMatch(/^adapter_(corrupt|incompatible)$/);
      }
      expect((await change(`${name}/activate`, { share: 0.5 })).status).toBe(409);
    }
    expect(adapters.active).toBe("one");
    expect((await answerOf()).text).toBe(good.text);
  });
});

describe("a swap while chats run", () => {
  it("leaves them on their adapter, and answers new ones as fresh runs do", async () => {
    const { backend, change } = await started();
    await change("one/activate");
    await change("two/load");
    const asked = (adapter: string, content: string) =>
      request(content, { adapter, maxTokens: 200 });
    const old = ["hello there", "what is it"].map((content) => asked("one", content));
    const running = old.map((one) => askBackend(backend, one));
    await change("two/activate");
    const anew = asked("two", "hello there");
    const swapped = await askBackend(backend, anew);
    const fresh = [
      ...(await referenceAnswers(modelPath, old, adapterPath("one"))),
      ...(await referenceAnswers(modelPath, [anew], adapterPath("two"))),
    ];
    [...(await Promise.all(running)), swapped].forEach((answer, i) => {
      const other = fresh[i];
      expect(other !== undefined && sameGreedyAnswer(answer, other)).toBe(true);
    });
  });
});
