/** The training process as a process of its own, for the tests of whole runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { SmallWorld } from "./small-world.ts";

/** The project's folder. */
export const ROOT = join(import.meta.dirname, "../../..");

/** How it ended: its exit code and the last line that it printed. */
export type Ended = { readonly code: number | null; readonly result: Record<string, unknown> };

/** Starts the training process on a world. */
export function begin(world: SmallWorld, ...flags: string[]): ChildProcess {
  return spawn(process.execPath, [join(ROOT, "trainer/main.ts"), "--json", ...flags], {
    env: { ...process.env, ...world.settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Waits for its end. */
export async function end(child: ChildProcess): Promise<Ended> {
  if (child.stdout === null || child.stderr === null) throw new Error("no pipes");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  const last = out.trim().split("\n").at(-1) ?? "";
  if (last === "") throw new Error(`no result; stderr: ${err}`);
  return { code: child.exitCode, result: JSON.parse(last) };
}

/** Runs it to its end. */
export function train(world: SmallWorld, ...flags: string[]): Promise<Ended> {
  return end(begin(world, ...flags));
}
