import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { forPeople } from "#deploy/start/announce.ts";
import { countCrash, NO_CRASHES, restartDelayMs } from "#deploy/start/backoff.ts";
import { parseLogLine } from "#deploy/start/log-lines.ts";
import { assertPortFree } from "#deploy/start/ports.ts";
import { botSpec, engineSpec, playgroundSpec, trainerEnvironment } from "#deploy/start/specs.ts";
import { cronPattern } from "#deploy/start/training.ts";
import { parseConfig } from "#engine/base/config.ts";
import { isCoded } from "#engine/base/errors.ts";

describe("the wait before a restart", () => {
  test("doubles from one second to at most a minute", () => {
    let crashes = NO_CRASHES;
    const delays = Array.from({ length: 9 }, () => {
      crashes = countCrash(crashes, 100);
      return restartDelayMs(crashes);
    });
    expect(delays).toEqual([1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3, 60e3]);
  });

  test("is short again once a service had run for a minute", () => {
    const many = countCrash({ inARow: 8 }, 100);
    expect(restartDelayMs(countCrash(many, 60_000))).toBe(1_000);
  });
});

describe("a port", () => {
  test("that is taken is refused by the setting's name, with what to do", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    const failure = await assertPortFree("ENGINE_PORT", "127.0.0.1", port).catch((e: unknown) => e);
    expect(isCoded(failure, "address_in_use")).toBe(true);
    expect(String(failure)).toMatch(new RegExp(`Port ${port} .*ENGINE_PORT`));
    await new Promise((resolve) => server.close(resolve));
    await assertPortFree("ENGINE_PORT", "127.0.0.1", port);
  });

  test("on an address that is not this machine's is a wrong setting", async () => {
    const failure = await assertPortFree("PLAYGROUND_PORT", "192.0.2.1", 3000).catch((e) => e);
    expect(isCoded(failure, "config_invalid")).toBe(true);
    expect(String(failure)).toContain("PLAYGROUND_HOST");
  });
});

describe("the settings of each process", () => {
  const config = parseConfig({ DISCORD_TOKEN: "secret", ENGINE_PORT: "8177", DATA_DIR: "/data" });

  test("never give the engine, the playground or the trainer Discord's token", () => {
    for (const env of [
      engineSpec(config, undefined).env,
      playgroundSpec(config, "http://127.0.0.1:1", undefined).env,
      trainerEnvironment("http://127.0.0.1:1"),
    ]) {
      expect(env).toMatchObject({ DISCORD_TOKEN: "", DISCORD_TOKEN_FILE: "" });
    }
  });

  test("bring a restarted service up on the port that the others know", () => {
    expect(engineSpec(config, undefined).env).toMatchObject({ ENGINE_PORT: "8177" });
    expect(engineSpec(config, 40_000).env).toMatchObject({ ENGINE_PORT: "40000" });
    expect(playgroundSpec(config, "http://e", 40_001).env).toMatchObject({
      PLAYGROUND_PORT: "40001",
      ENGINE_URL: "http://e",
    });
  });

  test("send the bot to the playground with its token, or leave Discord's as it is", () => {
    const place = { url: "http://p", api: "http://p/api", token: "t" };
    expect(botSpec(config, "http://e", place).env).toMatchObject({
      DISCORD_TOKEN: "t",
      DISCORD_API_URL: "http://p/api",
      ENGINE_URL: "http://e",
    });
    expect(botSpec(config, "http://e", undefined).env).not.toHaveProperty("DISCORD_TOKEN");
  });
});

test("TRAIN_AT becomes a daily pattern", () => {
  expect(cronPattern("03:00")).toBe("0 3 * * *");
  expect(cronPattern("23:05")).toBe("5 23 * * *");
});

describe("what people read", () => {
  const ready = {
    event: "ready",
    engine: "http://127.0.0.1:8177",
    model: "nano",
    device: "CPU: as no GPU driver was found.",
    adapter: null,
    training: null,
    dataDir: "/data",
  } as const;

  test("names page, model, device and adapter in the playground", () => {
    const text = forPeople({ ...ready, page: "http://127.0.0.1:3000" });
    expect(text).toContain("http://127.0.0.1:3000");
    expect(text).toMatch(/nano[\s\S]*CPU[\s\S]*none yet[\s\S]*off \(TRAIN_AT\)/);
  });

  test("gives the invite with real Discord", () => {
    const text = forPeople({ ...ready, invite: "https://discord.com/oauth2/authorize?x" });
    expect(text).toContain("add the bot to a server: https://discord.com/oauth2/authorize?x");
  });

  test("of a log line is time, service, level and what happened", () => {
    const line = `{"level":40,"time":0,"component":"bot","msg":"slow","ms":12}`;
    expect(parseLogLine(line)?.text).toMatch(/^\d\d:\d\d:\d\d bot warning: slow ms=12$/);
    expect(parseLogLine("plain text")).toBeUndefined();
    expect(parseLogLine("{broken")).toBeUndefined();
  });
});
