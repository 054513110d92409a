/** The playground as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { freshFolder } from "./arena.ts";

test("prints where it listens as one JSON line, answers there, and ends on SIGTERM", async () => {
  const started = start({ PLAYGROUND_PORT: "0" });
  const line = JSON.parse(await started.firstLine);
  expect(line).toMatchObject({
    event: "listening",
    service: "playground",
    token: expect.any(String),
  });
  const headers = { authorization: `Bot ${line.token}` };
  const me = await fetch(`${line.api}/v10/users/@me`, { headers });
  expect(await me.json()).toMatchObject({ username: "Zephyr" });
  expect((await fetch(line.url)).headers.get("content-security-policy")).toContain(
    "default-src 'none'",
  );
  started.child.kill("SIGTERM");
  expect((await started.exit).code).toBe(0);
});

test("a taken port ends it with one clear message", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void taken.close());
  const address = taken.address();
  const port = address === null || typeof address === "string" ? 0 : address.port;
  const started = start({ PLAYGROUND_PORT: String(port) });
  expect(JSON.parse(await started.firstLine)).toMatchObject({
    event: "error",
    service: "playground",
    code: "address_in_use",
  });
  const { code, errors } = await started.exit;
  expect(code).toBe(1);
  expect(errors.trim().split("\n")).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
});

function start(settings: Record<string, string>): {
  child: ChildProcess;
  firstLine: Promise<string>;
  exit: Promise<{ code: number | null; errors: string }>;
} {
  const child = spawn(process.execPath, ["deploy/playground/main.ts", "--json"], {
    env: { PATH: process.env["PATH"], DATA_DIR: freshFolder(), LOG_LEVEL: "warn", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += String(chunk);
  });
  const firstLine = new Promise<string>((resolve) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(String(chunk).split("\n")[0] ?? ""));
  });
  const exit = new Promise<{ code: number | null; errors: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, errors }));
  });
  return { child, firstLine, exit };
}
