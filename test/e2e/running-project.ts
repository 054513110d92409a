/** `npm start` as a child process for end-to-end tests, in a data folder and on ports of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const COMMAND = fileURLToPath(new URL("../../deploy/zephyr.ts", import.meta.url));

/** A started project. */
export type RunningProject = {
  readonly page: string;
  readonly engine: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What the processes logged so far, for a failed test's message. */
  log(): string;
  stop(): Promise<void>;
};

/** What a command of the command line gave. */
export type CommandOutcome = {
  readonly code: number | null;
  readonly result: unknown;
  readonly log: string;
};

/** Starts everything and waits until it is ready. @throws Error with the log when it ends before that */
export async function startProject(
  settings: Readonly<Record<string, string>>,
): Promise<RunningProject> {
  const environment = {
    DATA_DIR: mkdtempSync(join(tmpdir(), "zephyr-e2e-")),
    ENGINE_PORT: "0",
    PLAYGROUND_PORT: "0",
    DISCORD_TOKEN: "",
    LOG_LEVEL: "warn",
    ...settings,
  };
  const child = spawn(process.execPath, [COMMAND, "start", "--json"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => log.push(text));
  const ready = await readyLine(child, log);
  return {
    ...ready,
    environment,
    log: () => log.join(""),
    stop: async () => {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Runs `zephyr …args --json` with the project's settings and parses what it prints. */
export async function runZephyr(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<CommandOutcome> {
  const child = spawn(process.execPath, [COMMAND, ...args, "--json"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  const log: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => output.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => log.push(text));
  const [code] = (await once(child, "close")) as [number | null];
  const text = output.join("").trim();
  const result: unknown = text === "" ? null : JSON.parse(text);
  return { code, result, log: log.join("") };
}

async function readyLine(
  child: ChildProcess,
  log: readonly string[],
): Promise<{ page: string; engine: string }> {
  if (child.stdout === null) throw new Error("the child's stdout must be a pipe");
  for await (const line of createInterface({ input: child.stdout })) {
    const said: { event?: string; page?: string; engine?: string } = JSON.parse(line);
    if (said.event !== "ready" || said.page === undefined || said.engine === undefined) continue;
    child.stdout.resume();
    return { page: said.page, engine: said.engine };
  }
  throw new Error(`the project ended before it was ready:\n${log.join("")}`);
}
