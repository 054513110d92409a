import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { ManagerLink, readWishes, sendByProgram } from "#deploy/start/service-manager.ts";

const EXTEND = "EXTEND_TIMEOUT_USEC=120000000";

function link(watchdogMs?: number, send?: () => Promise<void>) {
  const said: string[] = [];
  const problems: string[] = [];
  const manager = new ManagerLink({
    wishes: { watchdogMs },
    send: async (states) => {
      await send?.();
      said.push(...states);
    },
    onProblem: (message) => problems.push(message),
  });
  onTestFinished(() => manager[Symbol.dispose]());
  return { manager, said, problems };
}

describe("what a service manager wants to hear", () => {
  test("is read from the environment, microseconds and all", () => {
    expect(readWishes({})).toBeUndefined();
    expect(readWishes({ NOTIFY_SOCKET: "" })).toBeUndefined();
    expect(readWishes({ NOTIFY_SOCKET: "/run/x" })).toEqual({ watchdogMs: undefined });
    const watching = { NOTIFY_SOCKET: "@x", WATCHDOG_USEC: "90000000" };
    expect(readWishes(watching)).toEqual({ watchdogMs: 90_000 });
  });
});

describe("the word to a service manager", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("asks for more time as long as something loads, and for none once all is up", async () => {
    const { manager, said } = link();
    await manager.starting();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(said).toEqual(["STATUS=Starting", EXTEND, EXTEND, EXTEND]);
    await manager.ready("Serving nano", async () => true);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(said.slice(4)).toEqual(["READY=1", "STATUS=Serving nano"]);
  });

  test("is a sign of life twice in the time that it waits, as long as all are well", async () => {
    const { manager, said } = link(30_000);
    let isHealthy = true;
    await manager.ready("Serving", async () => isHealthy);
    const signs = () => said.filter((state) => state === "WATCHDOG=1").length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(signs()).toBe(4);
    isHealthy = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(signs()).toBe(4);
    isHealthy = true;
    await vi.advanceTimersByTimeAsync(15_000);
    expect(signs()).toBe(5);
    await manager.stopping();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(said.slice(-2)).toEqual(["STOPPING=1", expect.stringContaining("STATUS=")]);
  });

  test("that cannot be carried is told once, with what to do, and hinders nothing", async () => {
    const { manager, problems } = link(10_000, async () => {
      throw new Error("spawn systemd-notify ENOENT");
    });
    await manager.starting();
    await manager.ready("Serving", async () => true);
    await vi.advanceTimersByTimeAsync(60_000);
    await manager.stopping();
    expect(problems).toEqual([expect.stringContaining("Install systemd-notify")]);
    expect(problems[0]).toContain("ENOENT");
  });
});

/** Prints each datagram that comes to a socket; Node cannot. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
`;
const isThere = (program: string) => spawnSync(program, ["--version"]).status === 0;

describe.skipIf(!isThere("systemd-notify") || !isThere("python3"))(
  "systemd's own program (skipped where it, or Python to hear it, is not installed)",
  () => {
    test("carries the words to the socket that the manager named", async () => {
      const path = join(mkdtempSync(join(tmpdir(), "notify-")), "socket");
      const receiver: ChildProcess = spawn("python3", ["-c", RECEIVER, path], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void receiver.kill());
      if (receiver.stdout === null) throw new Error("no pipe");
      const lines = createInterface({ input: receiver.stdout });
      const next = async () => String((await once(lines, "line"))[0]);
      expect(await next()).toBe("bound");
      vi.stubEnv("NOTIFY_SOCKET", path);
      onTestFinished(() => void vi.unstubAllEnvs());
      const heard = next();
      await sendByProgram(["READY=1", "STATUS=Serving nano"]);
      expect(await heard).toMatch(/^READY=1\|STATUS=Serving nano/);
    });
  },
);
