import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { startPlayground } from "#deploy/playground/start.ts";
import { openRegistry } from "#engine/adapters/registry.ts";
import { systemClock } from "#engine/base/clock.ts";
import { hashFile } from "#engine/base/file-hash.ts";
import { feedbackPath } from "#trainer/feedback/log.ts";
import { createRun } from "#trainer/nightly/run-folder.ts";
import { runZephyr, startZephyr } from "../deploy/start/running-zephyr.ts";
import { cpuLibraries } from "../model/libraries.ts";
import { writeRandomAdapter } from "../model/random-adapter.ts";
import { type SmallWorld, smallWorld } from "../trainer/nightly/small-world.ts";

const ANY_PORTS = { ENGINE_PORT: "0", PLAYGROUND_PORT: "0", ENGINE_URL: "", CONTEXT_TOKENS: "512" };

function settingsOf(world: SmallWorld): Record<string, string> {
  return { ...world.settings, ...ANY_PORTS };
}

const failureSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Starts everything, which must fail; gives the one message. */
async function failureOf(
  settings: Record<string, string>,
): Promise<{ readonly code: string; readonly message: string }> {
  const zephyr = startZephyr(settings);
  expect(await zephyr.exited).toBe(1);
  return failureSchema.parse(zephyr.lines.at(-1)).error;
}

describe("npm start says in one message why it cannot start:", () => {
  test("a port is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    const world = smallWorld([]);
    for (const setting of ["ENGINE_PORT", "PLAYGROUND_PORT"]) {
      const error = await failureOf({ ...settingsOf(world), [setting]: port });
      expect(error.code).toBe("address_in_use");
      expect(error.message).toContain(`Port ${port} on 127.0.0.1 is taken`);
      expect(error.message).toContain(`set ${setting}`);
    }
    await new Promise((resolve) => taken.close(resolve));
  });

  test("Discord does not accept the token", async () => {
    const world = smallWorld([]);
    const [id, time, secret] = [
      Buffer.from("100000000000000001"),
      Buffer.alloc(4),
      Buffer.alloc(28),
    ];
    const token = (bytes: Buffer) =>
      [id, time, bytes].map((part) => part.toString("base64url")).join(".");
    const discord = await startPlayground({
      host: "127.0.0.1",
      port: 0,
      dataDir: world.dataDir,
      botToken: token(secret.fill(1)),
      clock: systemClock,
    });
    const error = await failureOf({
      ...settingsOf(world),
      DISCORD_TOKEN: token(Buffer.alloc(28, 2)),
      DISCORD_API_URL: discord.apiUrl,
    });
    await discord.close();
    expect(error.code).toBe("discord_token_invalid");
    expect(error.message).toContain("DISCORD_TOKEN");
    expect(error.message).not.toContain(token(Buffer.alloc(28, 2)));
  });

  test("a setting is wrong", async () => {
    const world = smallWorld([]);
    const { code, stdout } = await runZephyr(
      { ...settingsOf(world), TRAIN_AT: "noon" },
      "start",
      "--json",
    );
    expect(code).toBe(2);
    expect(stdout).toMatch(/TRAIN_AT.*03:00.*noon/);
  });

  test("the model is no model", async () => {
    const world = smallWorld([]);
    writeFileSync(world.modelPath, "GGUF, but not really");
    const error = await failureOf(settingsOf(world));
    expect(error.code).toBe("model_invalid");
    expect(error.message).toContain(world.modelPath);
  });

  test("the feedback log is damaged", async () => {
    const world = smallWorld([]);
    writeFileSync(feedbackPath(world.dataDir), "not a database, at all, ".repeat(100));
    const error = await failureOf(settingsOf(world));
    expect(error.code).toBe("database_failed");
    expect(error.message).toMatch(/feedback\.db.*damaged.*backup/);
  });
});

describe("npm start goes on", () => {
  test("with the bare weights when the serving adapter's file was damaged", async () => {
    const world = smallWorld([]);
    const adapter = await publishAdapter(world);
    appendFileSync(join(world.dataDir, "adapters", adapter, "adapter.gguf"), "damage");
    const refused = await runZephyr(world.settings, "adapters", "activate", adapter, "--json");
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: "adapter_corrupt" } });

    const zephyr = startZephyr(settingsOf(world));
    const ready = await zephyr.until(({ event }) => event === "ready");
    expect(ready["adapter"]).toBe(null);
    const answer = await runZephyr(settingsOf(world), "chat", "--json", "hello");
    expect(answer.code).toBe(0);
    expect(await zephyr.stop()).toBe(0);
    expect(openRegistry(world.dataDir).list()).toEqual([]);
  });

  test("with a training run that was cut short, unless training is off", async () => {
    const world = smallWorld([]);
    createRun(world.dataDir, await hashFile(world.modelPath), Date.now());
    const off = startZephyr({ ...settingsOf(world), TRAIN_AT: "off" });
    await off.until(({ event }) => event === "ready");
    expect(off.lines.some(({ event }) => event === "training")).toBe(false);
    await off.stop();

    const on = startZephyr(settingsOf(world));
    // There is no feedback in this world, which is how it ends here.
    const trained = await on.until(({ event }) => event === "trained");
    expect(trained).toMatchObject({ exitCode: 1 });
    expect(trained["message"]).toMatch(/Training needs at least 24/);
    expect(on.stderr()).toContain("Taking up run");
    expect(await on.stop()).toBe(0);
  });
});

/** An adapter that serves, as a training run would have left it; gives its name. */
async function publishAdapter(world: SmallWorld): Promise<string> {
  const registry = openRegistry(world.dataDir);
  const adapterPath = join(world.dataDir, "trained.gguf");
  writeRandomAdapter(adapterPath, { libraries: cpuLibraries(), shape: world.shape, seed: 1 });
  await registry.publish({
    name: "trained",
    adapterPath,
    manifest: {
      baseSha256: await hashFile(world.modelPath),
      parent: null,
      data: { pairs: 0, manifestSha256: "0".repeat(64), fromMs: 0, toMs: 0 },
      hyperparameters: {},
      gate: { passed: true, report: {} },
    },
  });
  await registry.activate("trained");
  return "trained";
}
