/** A real llama-server as a process of its own: LLAMA_SERVER's, or the one that the benchmark against it has built. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LLAMA_RELEASE } from "#engine/native/library.ts";

const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const BUILT = join(CACHE, "zephyr-community/llama-server", LLAMA_RELEASE, "build/bin/llama-server");
const PROGRAM = process.env["LLAMA_SERVER"] ?? BUILT;
const READY_TRIES = 150;

/** Why there is none, for the name of a skipped suite; undefined where there is one. */
export const MISSING: string | undefined = existsSync(PROGRAM)
  ? undefined
  : `llama-server: no program at ${PROGRAM}; build it by npm run bench:engine -- --vs llama-server, or set LLAMA_SERVER`;

/** A server that answers. */
export type RunningServer = AsyncDisposable & { readonly url: string };

/** Starts it on a free port of this machine, with two slots, on the processor. */
export async function startLlamaServer(
  modelPath: string,
  more: readonly string[],
): Promise<RunningServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const options = {
    "--model": modelPath,
    "--host": "127.0.0.1",
    "--port": String(port),
    "--ctx-size": "2048",
    "--parallel": "2",
    "--threads": "1",
    "--device": "none",
  };
  const child = spawn(PROGRAM, [...Object.entries(options).flat(), ...more], { stdio: "ignore" });
  await whenReady(url);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}

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
