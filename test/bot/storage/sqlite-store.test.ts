import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Keyv } from "keyv";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openSqliteStore } from "#bot/storage/sqlite-store.ts";

afterEach(() => vi.useRealTimers());

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
