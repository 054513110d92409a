import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RequestLimits } from "#bot/answer/request-limits.ts";
import { SharedLimits } from "#bot/answer/shared-limits.ts";
import { SettingsBook } from "#bot/settings/settings-book.ts";
import { openKeyv } from "#bot/storage/open-keyv.ts";
import { openBotStores } from "#bot/storage/open-stores.ts";
import { openRedis } from "#bot/storage/redis.ts";
import { openRedisStore } from "#bot/storage/redis-store.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { finishedAnswer, type Lounge, openLounge } from "../bot/support/lounge.ts";
import { REDIS, RedisServer } from "../servers/redis-server.ts";

const log = createLog("test", "silent");
const HOUR_MS = 3_600_000;
const MENTION = "<@1200000000000000002>";
const because = REDIS.missing === undefined ? "" : ` (${REDIS.missing})`;

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "redis-lost-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe.skipIf(REDIS.missing !== undefined)(`a Redis that is away at the start${because}`, () => {
  test("keeps the bot from starting, which says where it looked and what to do, without the password", async () => {
    await using server = await RedisServer.open(false);
    const REDIS_URL = server.url.replace("//", "//:hunter2@");
    const config = { DATA_DIR: freshFolder(), REDIS_URL, DATABASE_URL: undefined };
    const said: string[] = [];
    const heard = pino({ level: "warn" }, { write: (line) => void said.push(line) });
    const error = await openBotStores(config, heard, 300).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "store_unreachable" });
    // While it waits, once however many attempts fail.
    expect(said).toEqual([
      expect.stringMatching(/ECONNREFUSED.*REDIS_URL does not answer: waiting up to .*start it/),
    ]);
    expect(said.join("")).not.toContain("hunter2");
    expect(String(error)).toMatch(
      new RegExp(`REDIS_URL \\(127\\.0\\.0\\.1:${server.port}\\).*Start it`),
    );
    expect(String(error)).not.toContain("hunter2");
  });

  test("but refuses the password is not waited for", async () => {
    await using server = await RedisServer.open();
    const redis = await openRedis(server.url, log);
    await redis.config("SET", "requirepass", "right");
    redis.disconnect();
    for (const [credentials, reason] of [
      [":wrong@", "WRONGPASS"],
      ["", "NOAUTH"],
    ] as const) {
      const opening = openRedis(server.url.replace("//", `//${credentials}`), log, HOUR_MS);
      await expect(opening).rejects.toThrow(new RegExp(`REDIS_URL .* cannot be used: ${reason}`));
    }
    (await openRedis(server.url.replace("//", "//:right@"), log)).disconnect();
  });

  test("but comes up soon is waited for", async () => {
    await using server = await RedisServer.open(false);
    const config = { DATA_DIR: freshFolder(), REDIS_URL: server.url, DATABASE_URL: undefined };
    const opening = openBotStores(config, log);
    await server.start();
    await using stores = await opening;
    expect(await stores.settings.set("key", "value")).toBe(true);
  });

  test("takes over what was kept in DATA_DIR, once", async () => {
    await using server = await RedisServer.open();
    const DATA_DIR = freshFolder();
    const local = { DATA_DIR, REDIS_URL: undefined, DATABASE_URL: undefined };
    const bookOn = (store: Parameters<typeof openKeyv>[0]) =>
      new SettingsBook(openKeyv(store, "guild-settings", log));
    {
      await using stores = await openBotStores(local, log);
      await bookOn(stores.settings).change("1", () => ({ memory: "channel" }));
    }
    for (const memory of ["channel", "off"] as const) {
      await using stores = await openBotStores({ ...local, REDIS_URL: server.url }, log);
      expect(await bookOn(stores.settings).of("1")).toMatchObject({ memory });
      await bookOn(stores.settings).change("1", () => ({ memory: "off" }));
    }
  });
});

test.skipIf(REDIS.missing !== undefined)(
  `a Redis that goes and comes back is told of once each, and one that the bot leaves is not${because}`,
  async () => {
    await using server = await RedisServer.open();
    const told: string[] = [];
    const telling = pino({ base: null }, { write: (line) => told.push(line) });
    const redis = await openRedis(server.url, telling);
    await server.kill();
    await expect.poll(() => told.length).toBe(1);
    expect(told[0]).toContain("Redis is away");
    await server.start();
    await expect.poll(() => told.length, { timeout: 10_000 }).toBe(2);
    expect(told[1]).toContain("Redis is back");
    const ended = once(redis, "end");
    redis.disconnect();
    await ended;
    expect(told).toHaveLength(2);
  },
);

test.skipIf(REDIS.missing !== undefined)(
  `a Redis that hangs is waited for once, fails at once from then on, and serves when it goes on${because}`,
  async () => {
    await using server = await RedisServer.open();
    const redis = await openRedis(server.url, log);
    const store = openRedisStore(redis);
    await store.set("key", "value");
    server.hang();
    const begun = performance.now();
    for (let n = 0; n < 6; n++) {
      await expect(store.get("key")).rejects.toMatchObject({ code: "store_unreachable" });
    }
    expect(performance.now() - begun).toBeLessThan(3 * 2_000);
    server.goOn();
    await expect
      .poll(() => store.get("key").catch(() => "away"), { timeout: 15_000 })
      .toBe("value");
    redis.disconnect();
  },
);

describe.skipIf(REDIS.missing !== undefined)(
  `a Redis that is killed while the bot runs${because}`,
  () => {
    let server: RedisServer;
    let lounge: Lounge;
    let general: string;
    beforeAll(async () => {
      server = await RedisServer.open();
      lounge = await openLounge({ REDIS_URL: server.url });
      general = lounge.playground.channelId("general");
    });
    afterAll(async () => {
      await lounge?.close();
      await server?.[Symbol.asyncDispose]();
    });
    const answerWith = (text: string) => {
      lounge.engine.script = () => [{ text }, { end: "stop" }];
    };
    const ask = async (text: string, answer: string) => {
      answerWith(answer);
      const said = lounge.playground.person("mira").say(general, `${MENTION} ${text}`);
      await finishedAnswer(lounge, answer);
      return said;
    };

    test("leaves answers going on without earlier turns, votes recorded, and changes of settings refused in words; what was said before and its deletions are there when it is back", async () => {
      const mira = lounge.playground.person("mira");
      const secret = await ask("my code word is otter", "Noted.");
      await ask("and I like tea", "Tea, good.");
      expect(lounge.engine.lastConversation().join("\n")).toContain("otter");
      // An answer is remembered after it is shown.
      await ask("and coffee", "Coffee, too.");
      expect(lounge.engine.lastConversation().join("\n")).toContain("tea");

      await server.kill();
      await ask("what do I like?", "I cannot recall.");
      expect(lounge.engine.lastConversation()).toHaveLength(1);
      const shown = await finishedAnswer(lounge, "I cannot recall.");
      mira.react(shown.id, "👎");
      await expect.poll(() => lounge.feedback.standing().length).toBe(1);
      const refused = await mira.slash(general, "persona use");
      expect(JSON.stringify(refused)).toContain("settings is out of reach");
      mira.delete(secret.id);
      await expect
        .poll(() => [...lounge.feedback.exchanges()].filter(({ deleted }) => deleted).length)
        .toBeGreaterThan(0);

      await server.start();
      const heard: string[] = [];
      await expect
        .poll(
          async () => {
            await ask("do you know my code word?", "Let me see.");
            heard.push(lounge.engine.lastConversation().join("\n"));
            return heard.at(-1);
          },
          { timeout: 20_000, interval: 500 },
        )
        .toContain("tea");
      // Not even in the moment before the deletion was made good.
      expect(heard.join("\n")).not.toContain("otter");
      const redis = await openRedis(server.url, log);
      const holders = `zephyr:conversations::holders:${secret.id}`;
      await expect.poll(() => redis.exists(holders), { timeout: 15_000 }).toBe(0);
      redis.disconnect();
    });
  },
);

describe.skipIf(REDIS.missing !== undefined)(`limits by person in Redis${because}`, () => {
  const settings = { personRequestsPerMinute: 4, guildConcurrentRequests: 9 };
  const never = () => undefined;

  test("hold for all processes together, and for each alone while Redis is away", async () => {
    await using server = await RedisServer.open();
    const clients = await Promise.all([0, 1].map(() => openRedis(server.url, log)));
    const limits = clients.map(
      (redis) => new RequestLimits(settings, systemClock, new SharedLimits(redis, log)),
    );
    const ask = async (process: number) =>
      (await limits[process]?.run({ person: "p", guild: `g${process}` }, async () => 1, never))
        ?.kind;
    const first: unknown[] = [];
    for (let n = 0; n < 6; n++) first.push(await ask(n % 2));
    expect(first).toEqual(["done", "done", "done", "done", "refused", "refused"]);
    await server.kill();
    const alone: unknown[] = [];
    for (let n = 0; n < 10; n++) alone.push(await ask(n % 2));
    expect(alone.filter((kind) => kind === "done")).toHaveLength(8);
    await server.start();
    await expect.poll(() => clients.every(({ status }) => status === "ready")).toBe(true);
    expect(["done", "refused"]).toContain(await ask(0));
    for (const each of limits) await each.disconnect();
    for (const redis of clients) redis.disconnect();
  });

  test("in a Redis that hangs are waited for once, not by each question, and asked again later", async () => {
    await using server = await RedisServer.open();
    const redis = await openRedis(server.url, log);
    let nowMs = 0;
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const shared = new SharedLimits(redis, log, clock);
    const limits = new RequestLimits(settings, systemClock, shared);
    const ask = async (person: string) =>
      (await limits.run({ person, guild: person }, async () => 1, never)).kind;
    expect(await ask("before")).toBe("done");
    server.hang();
    const begun = performance.now();
    const people = [...Array(6).keys()].map(String);
    expect(await Promise.all(people.map(ask))).toEqual(people.map(() => "done"));
    expect(performance.now() - begun).toBeLessThan(3 * 2_000);
    nowMs += 10_000;
    expect(await ask("while it still hangs")).toBe("done");
    server.goOn();
    expect(await shared.take("after", 4)).toBeUndefined();
    nowMs += 10_000;
    await expect.poll(() => shared.take("after", 4)).toBe(true);
    await limits.disconnect();
    redis.disconnect();
  });
});
