import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ChildSpec, startChild } from "#deploy/start/child.ts";
import { superviseService } from "#deploy/start/service.ts";
import { type CodedError, isCoded } from "#engine/base/errors.ts";

function script(source: string): ChildSpec {
  const entry = join(mkdtempSync(join(tmpdir(), "service-")), "main.mjs");
  writeFileSync(entry, source);
  return { name: "thing", entry, args: [], env: {} };
}

const READY = `console.log(JSON.stringify({ event: "listening", url: "http://127.0.0.1:1" }));`;
const STAY = "setInterval(() => {}, 1000);";

/** Follows a service until it has failed or been ready so many times; waits are skipped, and counted. */
async function follow(spec: ChildSpec, readyTimes: number) {
  const delays: number[] = [];
  const reasons: string[] = [];
  let ready = 0;
  const end = Promise.withResolvers<CodedError | undefined>();
  const service = superviseService(() => spec, {
    onReady: () => {
      ready += 1;
      if (ready === readyTimes) end.resolve(undefined);
    },
    onRestart: (reason, delayMs) => {
      delays.push(delayMs);
      reasons.push(reason);
    },
    onFailed: end.resolve,
    onLog: () => {},
    onEvent: () => {},
    sleep: () => Promise.resolve(),
  });
  const failure = await end.promise;
  await service.stop(5_000);
  return { failure, delays, reasons };
}

describe("a supervised service", () => {
  test("that crashes after it was up is started again, more slowly each time", async () => {
    const { failure, delays, reasons } = await follow(script(`${READY} process.exit(7);`), 4);
    expect(failure).toBeUndefined();
    expect(delays.slice(0, 3)).toEqual([1_000, 2_000, 4_000]);
    expect(reasons[0]).toBe("The thing ended with exit code 7.");
  });

  test("that never comes up is given up with its last words", async () => {
    const { failure, delays } = await follow(script(`throw new Error("no luck");`), 1);
    expect(isCoded(failure, "internal_error")).toBe(true);
    expect(failure?.message).toContain("exit code 1");
    expect(delays).toEqual([1_000, 2_000]);
  });

  test("that says why it cannot start is believed at once", async () => {
    const error = { event: "error", code: "model_missing", message: "No model." };
    const source = `console.log(${JSON.stringify(JSON.stringify(error))}); process.exitCode = 1;`;
    const { failure, delays } = await follow(script(source), 1);
    expect(isCoded(failure, "model_missing")).toBe(true);
    expect(failure?.message).toBe("No model.");
    expect(delays).toEqual([]);
  });

  test("whose token is revoked later is not started again either", async () => {
    const error = { event: "error", code: "discord_token_invalid", message: "Wrong token." };
    const source = `${READY} console.log(${JSON.stringify(JSON.stringify(error))}); process.exitCode = 1;`;
    const { failure } = await follow(script(source), 2);
    expect(isCoded(failure, "discord_token_invalid")).toBe(true);
  });

  test("that is renewed comes up once more, which counts as no crash", async () => {
    const restarts: string[] = [];
    let ready = 0;
    const service = superviseService(() => script(`${READY} ${STAY}`), {
      onReady: () => {
        ready += 1;
      },
      onRestart: (reason) => restarts.push(reason),
      onFailed: (error) => {
        throw error;
      },
      onLog: () => {},
      onEvent: () => {},
      sleep: () => Promise.resolve(),
    });
    await service.renew(5_000);
    expect(service.downSinceMs).toBeUndefined();
    const before = ready;
    await service.renew(5_000);
    expect(ready).toBe(before + 1);
    expect(restarts).toEqual([]);
    await service.stop(5_000);
  });

  test("that does not end when asked is killed after the grace time", async () => {
    const spec = script(`process.on("SIGTERM", () => {}); ${READY} ${STAY}`);
    const ready = Promise.withResolvers<void>();
    const child = startChild(
      spec,
      () => ready.resolve(),
      () => {},
    );
    await ready.promise;
    expect(await child.stop(200)).toMatchObject({ signal: "SIGKILL" });
  });
});

test("children end when their supervisor is killed", async () => {
  const spec = script(`${READY} ${STAY}`);
  const parent = script(`
    import { startChild } from ${JSON.stringify(new URL("../../../deploy/start/child.ts", import.meta.url).href)};
    const child = startChild(${JSON.stringify(spec)}, () => console.log(child.pid), () => {});
  `);
  const supervisor = spawn(process.execPath, [parent.entry], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(supervisor.stdout, "data");
  const pid = Number(String(said));
  expect(isAlive(pid)).toBe(true);
  supervisor.kill("SIGKILL");
  await once(supervisor, "exit");
  await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
