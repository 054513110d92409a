/** A real SIGTERM to a real process whose native pass takes longer than anyone waits. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";

const script = join(import.meta.dirname, "slow-run.ts");
const newRunDir = () => mkdtempSync(join(tmpdir(), "interrupted-"));

type Line = { readonly text: string; readonly atMs: number };

/** Runs the script; SIGTERM comes as it prints `endAt`. */
async function run(runDir: string, endAt?: string): Promise<readonly Line[]> {
  const child = spawn(process.execPath, [script, runDir], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: Line[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    lines.push({ text, atMs: performance.now() });
    if (text === endAt) child.kill("SIGTERM");
  }
  return lines;
}

const outcomeOf = (lines: readonly Line[]) => JSON.parse(lines.at(-1)?.text ?? "");
/** From the beginning of a pass to the next line. */
const tookMs = (lines: readonly Line[], pass: string): number => {
  const at = lines.findIndex(({ text }) => text === pass);
  return (lines[at + 1]?.atMs ?? Number.NaN) - (lines[at]?.atMs ?? Number.NaN);
};

test("SIGTERM in the middle of a native pass ends it there, and the run resumes bit-exact", async () => {
  const whole = outcomeOf(await run(newRunDir()));
  expect(whole).toMatchObject({ status: "finished", step: 2 });
  const runDir = newRunDir();
  const ended = await run(runDir, "pass 2");
  expect(outcomeOf(ended)).toMatchObject({ status: "aborted", step: 1 });
  expect(existsSync(join(runDir, "checkpoints/step-00000001.checkpoint"))).toBe(true);
  // The checkpoint is written within this time, too.
  expect(tookMs(ended, "pass 2")).toBeLessThan(tookMs(ended, "pass 1") / 2);
  const resumed = outcomeOf(await run(runDir));
  expect(resumed).toMatchObject({ status: "finished", step: 2, resumedFrom: 1 });
  expect(resumed.state).toBe(whole.state);
}, 240_000);
