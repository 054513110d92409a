import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EntryStore } from "#bot/storage/entry-store.ts";
import { openPostgresStore } from "#bot/storage/postgres-store.ts";
import { openRedis } from "#bot/storage/redis.ts";
import { openRedisStore } from "#bot/storage/redis-store.ts";
import { openSqliteStore } from "#bot/storage/sqlite-store.ts";
import { createLog } from "#engine/base/log.ts";
import { POSTGRES, PostgresServer } from "../servers/postgres-server.ts";
import { REDIS, RedisServer } from "../servers/redis-server.ts";
import { describeEntryStore } from "./entry-store-contract.ts";

const log = createLog("test", "silent");
const because = (missing: string | undefined) => (missing === undefined ? "" : ` (${missing})`);

describe("in SQLite in memory", () => {
  const store = openSqliteStore(":memory:");
  describeEntryStore(() => store);
});

describe("in SQLite, each time opened anew as by another process", () => {
  const folder = mkdtempSync(join(tmpdir(), "entry-store-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  describeEntryStore(() => openSqliteStore(join(folder, "bot.db")), 40);
});

describe.skipIf(REDIS.missing !== undefined)(`in a real Redis${because(REDIS.missing)}`, () => {
  let server: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await RedisServer.open();
    redis = await openRedis(server.url, log);
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.[Symbol.asyncDispose]();
  });
  describeEntryStore(() => openRedisStore(redis));

  test("keeps what was set when it is killed and started again", async () => {
    const store = openRedisStore(redis);
    for (let n = 0; n < 200; n++) await store.set(`kept ${n}`, String(n));
    await server.kill();
    await expect(store.get("kept 0")).rejects.toMatchObject({ code: "store_unreachable" });
    await server.start();
    await new Promise<void>((resolve) => {
      if (redis.status === "ready") resolve();
      else redis.once("ready", () => resolve());
    });
    for (let n = 0; n < 200; n++) expect(await store.get(`kept ${n}`)).toBe(String(n));
  });
});

describe.skipIf(POSTGRES.missing !== undefined)(
  `in a real Postgres${because(POSTGRES.missing)}`,
  () => {
    let server: PostgresServer;
    let store: EntryStore;
    beforeAll(async () => {
      server = await PostgresServer.open();
      // Two processes that start at once both want to make the table.
      const stores = await Promise.all([0, 1].map(() => openPostgresStore(server.url, log)));
      await stores[1]?.disconnect();
      [store = store] = stores;
    });
    afterAll(async () => {
      await store?.disconnect();
      await server?.[Symbol.asyncDispose]();
    });
    describeEntryStore(() => store);

    test("says that it is away while it is, keeps what was set, and serves again", async () => {
      for (let n = 0; n < 50; n++) await store.set(`kept ${n}`, String(n));
      await server.kill();
      await expect(store.get("kept 0")).rejects.toMatchObject({ code: "store_unreachable" });
      await server.start();
      for (let n = 0; n < 50; n++) expect(await store.get(`kept ${n}`)).toBe(String(n));
    });

    test("a wrong address is told without its password, at once", async () => {
      const url = server.url.replace("zephyr@", "zephyr:hunter2@").replace("/postgres", "/nowhere");
      const error = await openPostgresStore(url, log).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "store_unreachable" });
      expect(String(error)).toMatch(/DATABASE_URL.*nowhere/);
      expect(String(error)).not.toContain("hunter2");
    });
  },
);
