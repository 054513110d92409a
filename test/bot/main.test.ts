import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { startPlayground } from "#deploy/playground/start.ts";
import { systemClock } from "#engine/base/clock.ts";
import { recording } from "../conformance/recording.ts";
import { finishedAnswer } from "./support/lounge.ts";
import { ScriptedEngine } from "./support/scripted-engine.ts";
import { Wiretap } from "./support/wiretap.ts";

const dataDir = mkdtempSync(join(tmpdir(), "bot-main-"));
let playground: Playground;
let engine: ScriptedEngine;
let tap: Wiretap;

beforeAll(async () => {
  playground = await startPlayground({
    host: "127.0.0.1",
    port: 0,
    dataDir,
    botToken: "the-right-token",
    clock: systemClock,
    ...recording(),
  });
  engine = await ScriptedEngine.start();
  tap = await Wiretap.start(playground.url);
});
afterAll(async () => {
  await Promise.all([tap.close(), engine.close(), playground.close()]);
  rmSync(dataDir, { recursive: true, force: true });
});

/** The bot's process with these settings on top. */
function runBot(settings: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, ["bot/main.ts", ...args], {
    env: {
      PATH: process.env["PATH"],
      DATA_DIR: dataDir,
      DISCORD_API_URL: `${tap.url}/api`,
      ENGINE_URL: engine.url,
      LOG_LEVEL: "silent",
      PRIVACY_PORT: "0",
      ...settings,
    },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (output.stderr += String(chunk)));
  return { child, output };
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, "exit");
  return child.exitCode;
}

describe("a bot that cannot start says why in one message, and exits with 1", () => {
  test("without a token: .env and the playground are named", async () => {
    const { child, output } = runBot({});
    expect(await exitOf(child)).toBe(1);
    expect(output.stderr).toMatch(/^DISCORD_TOKEN is not set\. .*\.env.*playground.*\n$/);
    expect(output.stdout).toBe("");
  });

  test("with a wrong token: discord_token_invalid, and the token is not shown", async () => {
    const { child, output } = runBot({ DISCORD_TOKEN: "not-the-token" });
    expect(await exitOf(child)).toBe(1);
    expect(output.stderr).toMatch(
      /^Discord does not accept DISCORD_TOKEN.*discord_token_invalid\)\n$/,
    );
    expect(output.stderr).not.toContain("not-the-token");
  });

  test("where there is no Discord: the address is named", async () => {
    const { child, output } = runBot({
      DISCORD_TOKEN: "the-right-token",
      DISCORD_API_URL: "http://127.0.0.1:9/api",
    });
    expect(await exitOf(child)).toBe(1);
    expect(output.stderr).toMatch(
      /^Discord could not be joined at http:\/\/127\.0\.0\.1:9\/api.*\n$/,
    );
  });
});

describe("a bot that starts", () => {
  const commandWrites = () =>
    tap.sent.filter(({ method, path }) => method === "PUT" && path.endsWith("/commands")).length;

  test("prints one JSON line with the invite URL, drains on SIGTERM, and registers commands once", async () => {
    const first = runBot({ DISCORD_TOKEN: "the-right-token" }, "--json");
    await playground.waitForBot({ command: "chat" });
    await expect.poll(() => first.output.stdout, { timeout: 10_000 }).toMatch(/\n$/);
    const ready: unknown = JSON.parse(first.output.stdout);
    expect(ready).toMatchObject({
      event: "ready",
      service: "bot",
      inviteUrl: expect.stringContaining(
        "scope=bot+applications.commands&permissions=309237763264",
      ),
    });
    expect(commandWrites()).toBe(1);

    const rest = Promise.withResolvers<void>();
    engine.script = () => [
      { text: "Nearly" },
      { wait: rest.promise },
      { text: " done." },
      { end: "stop" },
    ];
    const general = playground.channelId("general");
    await playground.person("mira").slash(general, "chat", { text: "finish?" });
    await playground.waitFor(({ content }) => content.endsWith("Nearly"));
    first.child.kill("SIGTERM");
    rest.resolve();
    expect(await exitOf(first.child)).toBe(0);
    await finishedAnswer({ playground }, "Nearly done.");

    const second = runBot({ DISCORD_TOKEN: "the-right-token" });
    await expect.poll(() => second.output.stdout, { timeout: 10_000 }).toContain("is ready");
    expect(second.output.stdout).toContain("https://discord.com/oauth2/authorize?client_id=");
    expect(commandWrites()).toBe(1);
    second.child.kill("SIGTERM");
    expect(await exitOf(second.child)).toBe(0);
  });
});
