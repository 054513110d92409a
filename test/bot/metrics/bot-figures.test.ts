import { afterEach, describe, expect, test } from "vitest";
import { BotFigures, serveFigures } from "#bot/metrics/bot-figures.ts";
import type { Served } from "#bot/web/serve.ts";
import { createLog } from "#engine/base/log.ts";

const log = createLog("test", "silent");

let served: Served | undefined;
let isConnected = true;
afterEach(async () => {
  await served?.close();
  isConnected = true;
});

function figures(redis: boolean | undefined = undefined): BotFigures {
  return new BotFigures({
    shard: { index: 3, count: 5 },
    isConnected: () => isConnected,
    pingMs: () => 42,
    guilds: () => 7,
    inFlight: () => 2,
    waiting: () => 1,
    identifiesLeft: () => 499,
    isCircuitOpen: () => false,
    isRedisUp: () => redis,
  });
}

describe("the bot's figures", () => {
  test("are served in Prometheus' format, each with its shard, as they are when they are asked for", async () => {
    const all = figures(true);
    all.reconnects();
    served = await serveFigures(all, { host: "127.0.0.1", port: 0 }, log);
    const text = await (await fetch(`${served.url}/metrics`)).text();
    for (const line of [
      'zephyr_bot_guilds{shard="3"} 7',
      'zephyr_bot_ping_seconds{shard="3"} 0.042',
      'zephyr_bot_identifies_left{shard="3"} 499',
      'zephyr_bot_reconnects_total{shard="3"} 1',
      'zephyr_bot_redis_up{shard="3"} 1',
      'zephyr_bot_connected{shard="3"} 1',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });

  test("say nothing of Redis where none is used", async () => {
    expect(await figures().text()).not.toContain("redis");
  });

  test("health is 200 while connected to Discord, 503 while not, and nothing else is served", async () => {
    served = await serveFigures(figures(), { host: "127.0.0.1", port: 0 }, log);
    expect((await fetch(`${served.url}/health`)).status).toBe(200);
    isConnected = false;
    expect((await fetch(`${served.url}/health`)).status).toBe(503);
    expect((await fetch(`${served.url}/privacy`)).status).toBe(404);
  });

  test("on a taken port are refused with the setting's name", async () => {
    served = await serveFigures(figures(), { host: "127.0.0.1", port: 0 }, log);
    const port = Number(new URL(served.url).port);
    const second = serveFigures(figures(), { host: "127.0.0.1", port }, log);
    await expect(second).rejects.toThrow(/BOT_METRICS_PORT/);
  });
});
