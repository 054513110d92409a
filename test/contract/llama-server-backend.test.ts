/**
 * The contract against a real llama-server: LLAMA_SERVER's, or the one that `npm run bench:engine --
 * --vs llama-server` has built. Without one it is skipped, and says so.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Backend } from "#engine/backends/backend.ts";
import { openRemoteBackend } from "#engine/backends/remote/remote.ts";
import { systemClock } from "#engine/base/clock.ts";
import { LLAMA_RELEASE } from "#engine/native/library.ts";
import { backendContract, backendContractUnderLoad } from "./backend-contract.ts";
import { type ContractModel, contractModel } from "./contract-model.ts";

const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const BUILT = join(CACHE, "zephyr-community/llama-server", LLAMA_RELEASE, "build/bin/llama-server");
const PROGRAM = process.env["LLAMA_SERVER"] ?? BUILT;
const READY_TRIES = 150;

let model: ContractModel;
let child: ChildProcess;
let backend: Backend;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** A real process tells when it is ready only when it is asked. */
async function whenReady(url: string): Promise<void> {
  for (let tried = 0; tried < READY_TRIES; tried++) {
    const response = await fetch(`${url}/health`).catch(() => undefined);
    if (response?.ok === true) return;
    await sleep(200);
  }
  throw new Error(`llama-server at ${url} did not get ready`);
}

if (existsSync(PROGRAM)) {
  beforeAll(async () => {
    model = contractModel();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const options = {
      "--model": model.path,
      "--lora": model.adapterPath,
      "--host": "127.0.0.1",
      "--port": String(port),
      "--ctx-size": "2048",
      "--parallel": "2",
      "--threads": "1",
      "--device": "none",
    };
    child = spawn(PROGRAM, [...Object.entries(options).flat(), "--lora-init-without-apply"], {
      stdio: "ignore",
    });
    await whenReady(url);
    backend = await openRemoteBackend({
      url,
      kind: "llama-server",
      baseSha256: model.sha256,
      contextTokens: 512,
      streams: 2,
      clock: systemClock,
    });
  }, 60_000);

  afterAll(async () => {
    await backend?.[Symbol.asyncDispose]();
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await ended;
    model[Symbol.dispose]();
  });

  const underTest = {
    open: async () => backend,
    adapter: {
      name: "night",
      get path() {
        return model.adapterPath;
      },
    },
  };
  backendContract("llama-server", underTest);
  backendContractUnderLoad("llama-server", underTest);
} else {
  describe.skip(`llama-server: no program at ${PROGRAM}; build it by npm run bench:engine -- --vs llama-server, or set LLAMA_SERVER`, () => {
    it("meets the contract", () => {});
  });
}
