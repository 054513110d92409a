import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";

const script = join(import.meta.dirname, "killed-run.ts");

/** Runs the script; killed with SIGKILL when it prints `killAt`. @returns its last line */
async function run(runDir: string, killAt?: string): Promise<string> {
  const child = spawn(process.execPath, [script, runDir], { stdio: ["ignore", "pipe", "inherit"] });
  let last = "";
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    if (line === killAt) child.kill("SIGKILL");
  }
  return last;
}

test("killed twice in mid-training, a run ends with the parameters of one that was left alone", async () => {
  const undisturbed = JSON.parse(await run(mkdtempSync(join(tmpdir(), "killed-"))));
  const runDir = mkdtempSync(join(tmpdir(), "killed-"));
  await run(runDir, "step 7");
  await run(runDir, "step 31");
  const resumed = JSON.parse(await run(runDir));
  expect(undisturbed).toMatchObject({ status: "finished", resumedFrom: 0, totalSteps: 60 });
  expect(resumed.status).toBe("finished");
  expect(resumed.resumedFrom).toBeGreaterThanOrEqual(30);
  expect(resumed.parameters).toBe(undisturbed.parameters);
});
