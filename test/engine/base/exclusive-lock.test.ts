import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { takeLock } from "#engine/base/exclusive-lock.ts";

const holderScript = `
  import { takeLock } from "#engine/base/exclusive-lock.ts";
  const lock = takeLock(process.argv[1]);
  process.stdout.write(lock.held ? "held" : "taken by " + lock.holder);
  if (process.argv[2] === "stay") setInterval(() => lock, 1000);
`;

function lockPath(): string {
  return join(mkdtempSync(join(tmpdir(), "lock-")), "folder", "lock");
}

async function tryElsewhere(path: string): Promise<string> {
  const args = ["--input-type=module-typescript", "-e", holderScript, path];
  return (await promisify(execFile)(process.execPath, args)).stdout;
}

test("another process is refused while the lock is held, is told by whom, and gets it afterwards", async () => {
  const path = lockPath();
  const lock = takeLock(path);
  if (!lock.held) throw new Error("expected the lock to be free");
  expect(await tryElsewhere(path)).toBe(`taken by ${process.pid}`);
  lock[Symbol.dispose]();
  expect(await tryElsewhere(path)).toBe("held");
});

test("a holder that was killed leaves no stale lock", async () => {
  const path = lockPath();
  const args = ["--input-type=module-typescript", "-e", holderScript, path, "stay"];
  const holder = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  expect(takeLock(path)).toEqual({ held: false, holder: String(holder.pid) });
  holder.kill("SIGKILL");
  await once(holder, "exit");
  const lock = takeLock(path);
  expect(lock.held).toBe(true);
});
