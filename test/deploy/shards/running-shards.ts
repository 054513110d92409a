/** The bot's shards as processes of their own, for the tests of the whole. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ENTRY = join(import.meta.dirname, "../../../deploy/shards/main.ts");

/** A started group of shards. */
export type ShardGroup = {
  readonly process: ChildProcess;
  /** The line that it prints when all are ready; rejects when it ends before. */
  readonly ready: Promise<Readonly<Record<string, unknown>>>;
  readonly exited: Promise<number | null>;
  stderr(): string;
  /** Process ids of its children (Linux). */
  children(): readonly number[];
};

/** Starts it with these settings alone. */
export function startShards(settings: Readonly<Record<string, string>>): ShardGroup {
  const child = spawn(process.execPath, [ENTRY, "--json"], {
    env: { PATH: process.env["PATH"], LOG_LEVEL: "warn", PRIVACY_PORT: "0", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  const ready = Promise.withResolvers<Readonly<Record<string, unknown>>>();
  ready.promise.catch(() => undefined);
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (stdout.endsWith("\n")) ready.resolve(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exited = once(child, "exit").then(() => {
    ready.reject(new Error(`the shards ended: ${stdout}${stderr}`));
    return child.exitCode;
  });
  return {
    process: child,
    ready: ready.promise,
    exited,
    stderr: () => stderr,
    children: () => childrenOf(child.pid),
  };
}

/** Whether a process is there (Linux). A zombie is not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function childrenOf(pid: number | undefined): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
