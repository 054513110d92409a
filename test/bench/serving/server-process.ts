/** A server as a process of its own: awaited until it answers, ended for good. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** A server that answers. */
export type ServerProcess = AsyncDisposable & { readonly url: string; readonly pid: number };

const READY_WITHIN_MS = 60_000;
const LAST_WORDS = 2_000;

/**
 * Waits until `/health` answers with success.
 * @throws Error with the server's last words when it ends before, or does not answer in time
 */
export async function serverProcess(child: ChildProcess, url: string): Promise<ServerProcess> {
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-LAST_WORDS);
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`the server at ${url} did not start: ${words}`);
    }
    await setTimeout(50);
  }
  return {
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/**
 * Seconds of processor time that a process has used, all its threads together; NaN where there is no /proc.
 * proc(5): fields 14 and 15 of stat, in ticks of a hundredth of a second.
 */
export function processorSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, second, may hold spaces; what follows its bracket begins with field 3.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}
