import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Keyv } from "keyv";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openSqliteStore } from "#bot/storage/sqlite-store.ts";

afterEach(() => vi.useRealTimers());

/** What each Keyv store must do; Keyv's own map is held to it too. */
describe.each([
  ["a map", () => new Map()],
  ["SQLite", () => openSqliteStore(":memory:")],
])("Keyv on %s", (_, open) => {
  test("gives back what was set, under its namespace only", async () => {
    const store = open();
    const one = new Keyv({ store, namespace: "one" });
    const two = new Keyv({ store, namespace: "two" });
    await one.set("key", { list: [1, "zwei", null] });
    await two.set("key", "other");
    expect(await one.get("key")).toEqual({ list: [1, "zwei", null] });
    expect(await two.get("key")).toBe("other");
    expect(await one.get("missing")).toBeUndefined();
  });

  test("replaces, deletes and knows what it has", async () => {
    const keyv = new Keyv({ store: open() });
    await keyv.set("key", 1);
    await keyv.set("key", 2);
    expect(await keyv.get("key")).toBe(2);
    expect(await keyv.has("key")).toBe(true);
    expect(await keyv.delete("key")).toBe(true);
    expect(await keyv.delete("key")).toBe(false);
    expect(await keyv.has("key")).toBe(false);
  });

  test("forgets what has expired", async () => {
    vi.useFakeTimers();
    const keyv = new Keyv({ store: open() });
    await keyv.set("short", 1, 1_000);
    await keyv.set("long", 2, 10_000);
    vi.advanceTimersByTime(5_000);
    expect([await keyv.get("short"), await keyv.get("long")]).toEqual([undefined, 2]);
  });
});

describe("the SQLite store", () => {
  test("keeps entries across a reopen, each namespace clears its own, and expired ones are swept", async () => {
    const folder = mkdtempSync(join(tmpdir(), "store-"));
    const path = join(folder, "bot.db");
    {
      using store = openSqliteStore(path);
      const keyv = new Keyv({ store, namespace: "kept" });
      await keyv.set("key", "value");
      await new Keyv({ store, namespace: "cleared" }).set("key", "value");
      await new Keyv({ store, namespace: "cleared" }).clear();
    }
    using store = openSqliteStore(path);
    expect(await new Keyv({ store, namespace: "kept" }).get("key")).toBe("value");
    expect(await new Keyv({ store, namespace: "cleared" }).get("key")).toBeUndefined();
    vi.useFakeTimers();
    await store.set("old", "value", 1_000);
    vi.advanceTimersByTime(2_000);
    for (let n = 0; n < 600; n++) await store.set("busy", String(n));
    const keys: string[] = [];
    for await (const [key] of store.iterator()) keys.push(key);
    expect(keys).toEqual(["busy", "kept::key"]);
    rmSync(folder, { recursive: true, force: true });
  });
});
