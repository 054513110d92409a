import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { needingRestart } from "#deploy/start/reload.ts";
import { parseConfig } from "#engine/base/config.ts";
import { smallWorld } from "../../trainer/nightly/small-world.ts";
import { type Line, type RunningZephyr, runZephyr, startZephyr } from "./running-zephyr.ts";

test("what others were told at the start needs a restart, all else does not", () => {
  const before = parseConfig({ DATA_DIR: "/a", MODEL: "nano" });
  expect(needingRestart(before, parseConfig({ DATA_DIR: "/a", MODEL: "b.gguf" }))).toEqual([]);
  const after = parseConfig({ DATA_DIR: "/b", TRAIN_AT: "off", DISCORD_TOKEN: "x".repeat(60) });
  expect(needingRestart(before, after)).toEqual(["DATA_DIR", "TRAIN_AT", "DISCORD_TOKEN"]);
  const other = parseConfig({ DATA_DIR: "/b", TRAIN_AT: "off", DISCORD_TOKEN: "y".repeat(60) });
  expect(needingRestart(after, other)).toEqual([]);
});

test("zephyr reload says where nothing runs", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "reload-"));
  const { code, stderr } = await runZephyr({ DATA_DIR: dataDir }, "reload");
  expect(code).toBe(1);
  expect(stderr).toContain(`Nothing runs on the data folder ${dataDir}`);
});

describe.skipIf(process.platform !== "linux")("what runs reads its settings again", () => {
  const folder = mkdtempSync(join(tmpdir(), "reload-"));
  const blocklist = join(folder, "words.txt");
  const settings = (more: string) =>
    writeFileSync(join(folder, ".env"), `BLOCKLIST_FILE=${blocklist}\n${more}\n`);
  let zephyr: RunningZephyr;
  let ready: Line;
  let env: Record<string, string>;

  beforeAll(async () => {
    writeFileSync(blocklist, "unicorn\n");
    settings("");
    const world = smallWorld([]);
    env = { ...world.settings, ENGINE_PORT: "0", PLAYGROUND_PORT: "0", ENGINE_URL: "" };
    zephyr = startZephyr(env, folder);
    ready = await zephyr.until(({ event }) => event === "ready");
  });
  afterAll(async () => {
    expect(await zephyr.stop()).toBe(0);
  });

  async function isFlagged(word: string): Promise<boolean> {
    const response = await fetch(`${ready["engine"]}/v1/moderations`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ input: `a ${word} here` }),
    });
    const { results } = await response.json();
    return results[0].flagged;
  }

  test("engine and bot start again with what changed, on the address that others know", async () => {
    expect([await isFlagged("unicorn"), await isFlagged("narwhal")]).toEqual([true, false]);
    writeFileSync(blocklist, "narwhal\n");
    const asked = await runZephyr(env, "reload", "--json");
    expect(JSON.parse(asked.stdout)).toEqual({ asked: zephyr.process.pid });
    const reloading = await zephyr.until(({ event }) => event === "reloading");
    expect(reloading).toMatchObject({ services: ["engine", "bot"] });
    await zephyr.until(({ event }) => event === "reloaded");
    expect([await isFlagged("unicorn"), await isFlagged("narwhal")]).toEqual([false, true]);
    expect(zephyr.lines.filter(({ event }) => event === "restarting")).toEqual([]);
  });

  test("mistaken settings, and those that only a restart takes up, change nothing", async () => {
    settings("RETENTION_DAYS=soon");
    await runZephyr(env, "reload");
    const mistaken = await zephyr.until(({ event }) => event === "not_reloaded");
    expect(mistaken["message"]).toMatch(/^Nothing was reloaded\. .*RETENTION_DAYS/s);
    settings("TRAIN_AT=05:15");
    await runZephyr(env, "reload");
    await zephyr.until(({ message }) => String(message).startsWith("TRAIN_AT changed"));
    expect(await isFlagged("narwhal")).toBe(true);
  });
});
