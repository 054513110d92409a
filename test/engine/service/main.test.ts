/** The engine's process, from its first line to its last. */
import { type ChildProcess, spawn } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { cpuLibraries } from "../../model/libraries.ts";
import { writeRandomAdapter } from "../../model/random-adapter.ts";
import { writeRandomModel } from "../../model/random-model.ts";
import { publication, temporaryFolder } from "../adapters/adapter-fixture.ts";
import { startVendor } from "../backends/remote/vendor-server.ts";
import { chat, collect } from "./test-service.ts";

const MAIN = join(import.meta.dirname, "../../../engine/service/main.ts");
const models = temporaryFolder();
const MODEL = join(models, "tiny.gguf");
let made: ReturnType<typeof writeRandomModel>;

beforeAll(() => {
  made = writeRandomModel(MODEL, { libraries: cpuLibraries() });
});

type Ended = { code: number | null; stdout: string; stderr: string };

/** Starts the process; `line` is its first line on stdout, `ended` its whole output. */
function engine(env: Record<string, string>, options = ["--json"]) {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...options], {
    cwd: models,
    env: {
      PATH: process.env["PATH"],
      MODEL,
      DATA_DIR: temporaryFolder(),
      ENGINE_PORT: "0",
      GPU: "cpu",
      THREADS: "1",
      CONTEXT_TOKENS: "128",
      STREAMS: "2",
      ...env,
    },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const output = { stdout: "", stderr: "" };
  const line = new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (data) => {
      output.stdout += data;
      const [first, rest] = output.stdout.split("\n", 2);
      if (rest !== undefined && first !== undefined) resolve(first);
    });
    child.once("exit", () => reject(new Error(output.stderr)));
  });
  child.stderr?.on("data", (data) => {
    output.stderr += data;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code) => resolve({ code, ...output }));
  });
  line.catch(() => {});
  return { child, line, ended };
}

/** One clear message and exit code 1, and the same as a JSON line. */
async function failure(env: Record<string, string>) {
  const { code, stdout, stderr } = await engine(env).ended;
  expect(code).toBe(1);
  const said = JSON.parse(stdout);
  expect(said).toMatchObject({ event: "failed", service: "engine" });
  expect(stderr.trim()).toBe(said.message);
  return { code: said.code, message: said.message };
}

describe("the engine's process", () => {
  it("says where it listens, answers, and drains on SIGTERM without cutting anyone off", async () => {
    const { child, line, ended } = engine({ LOG_LEVEL: "info" });
    const { event, service, url } = JSON.parse(await line);
    expect([event, service]).toEqual(["listening", "engine"]);
    const client = new EngineClient({ url });
    const chunks = client.chat({ ...chat("hello"), temperature: 0, maxTokens: 60 });
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    child.kill("SIGTERM");
    const rest = await collect({ [Symbol.asyncIterator]: () => iterator });
    expect(rest.at(-1)).toMatchObject({ type: "end" });
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).toContain('"event":"ended"');
    expect(stderr, "no message text in logs").not.toContain("hello");
    expect(stderr).toMatch(/"event":"completion".*"promptTokens":\d+/);
  });

  it("serves the last sound adapter when the current one is damaged, and health says so", async () => {
    const dataDir = temporaryFolder();
    const registry = openRegistry(dataDir);
    for (const [index, name] of ["good", "bad"].entries()) {
      const adapterPath = join(models, `${name}.gguf`);
      const options = { libraries: cpuLibraries(), shape: made.shape, seed: index };
      writeRandomAdapter(adapterPath, options);
      const base = publication(name, { baseSha256: made.sha256 });
      await registry.publish({ ...base, adapterPath });
      await registry.activate(name);
    }
    truncateSync(join(dataDir, "adapters", "bad", "adapter.gguf"), 1000);
    const { line } = engine({ DATA_DIR: dataDir, LOG_LEVEL: "silent" });
    const client = new EngineClient({ url: JSON.parse(await line).url });
    const health = await client.health();
    expect(health).toMatchObject({ status: "degraded", adapter: "good" });
    expect(health.problems.join(" ")).toMatch(/Adapter bad is damaged.*moved to/);
    const { adapter } = await client.complete({ ...chat("hello"), maxTokens: 2 });
    expect(adapter).toBe("good");
  });
});

it("the command line explains itself, and exit code 2 is a wrong use", async () => {
  expect(await engine({}, ["--help"]).ended).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Usage:"),
    stderr: "",
  });
  expect(await engine({}, ["--port", "5"]).ended).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(/--port.*Usage:/s),
  });
});

describe("the engine's process cannot start", () => {
  it("on a port that is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once("listening", resolve));
    const address = other.address();
    const port = String(typeof address === "object" && address !== null ? address.port : 0);
    expect(await failure({ ENGINE_PORT: port })).toEqual({
      code: "address_in_use",
      message: expect.stringMatching(new RegExp(`Port ${port} .* taken .* ENGINE_PORT`)),
    });
  });

  it("without its model, or with a broken one", async () => {
    expect(await failure({ MODEL: "/nowhere/model.gguf" })).toMatchObject({
      code: "model_missing",
    });
    const broken = join(models, "broken.gguf");
    writeFileSync(broken, "GGUF and then nothing of use");
    expect(await failure({ MODEL: broken })).toMatchObject({ code: "model_invalid" });
  });

  it("with settings or a word list that it cannot read", async () => {
    expect(await failure({ STREAMS: "many" })).toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("STREAMS"),
    });
    expect(await failure({ BLOCKLIST_FILE: "/nowhere/words.txt" })).toMatchObject({
      code: "config_invalid",
      message: expect.stringContaining("BLOCKLIST_FILE"),
    });
  });
});

describe("the engine before another server", () => {
  it("checks, queues and names answers as with a model of its own", async () => {
    const { url, requests } = await startVendor();
    const { line } = engine({ BACKEND_URL: url, BACKEND_KIND: "vllm", MODEL: "/nowhere.gguf" });
    const { url: at } = JSON.parse(await line);
    const client = new EngineClient({ url: at });
    const { model } = await client.health();
    expect(model).toMatchObject({ id: "base-model", context_tokens: 512 });
    const [answered] = (await client.complete(chat("hi"))).answers;
    expect(answered?.text).toBe("hello there");
    const [refused] = (await client.complete(chat("gas the jews"))).answers;
    expect(refused?.reason).toBe("content_filter");
    expect(requests.filter(({ path }) => path === "/v1/chat/completions")).toHaveLength(1);
  });

  it("says what to do when nobody answers there", async () => {
    const { line, ended } = engine({ BACKEND_URL: "http://127.0.0.1:9" });
    expect(JSON.parse(await line)).toMatchObject({ event: "failed", code: "backend_unreachable" });
    expect(await ended).toMatchObject({ code: 1, stderr: expect.stringContaining("BACKEND_URL") });
  });

  it("withholds everything while its model, as a judge, gives no verdict", async () => {
    const { line } = engine({ GUARD_MODEL: "judge" });
    const { url } = JSON.parse(await line);
    const [refused] = (await new EngineClient({ url }).complete(chat("hello"))).answers;
    expect(refused?.verdict).toMatchObject({ category: "unchecked", stage: "input" });
  });
});
