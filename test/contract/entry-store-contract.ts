/** What every store of conversations and settings must do under Keyv, whatever it is kept in. */
import { randomUUID } from "node:crypto";
import { Keyv } from "keyv";
import { expect, test, vi } from "vitest";
import { ConversationMemory } from "#bot/conversation/memory.ts";
import type { Turn } from "#bot/conversation/window.ts";
import { SettingsBook } from "#bot/settings/settings-book.ts";
import type { EntryStore } from "#bot/storage/entry-store.ts";
import { openKeyv } from "#bot/storage/open-keyv.ts";
import { createLog } from "#engine/base/log.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";

const log = createLog("test", "silent");
/** Short enough to wait for: a server's clock cannot be set. */
const SHORT_MS = 60;

/**
 * Registers the suite.
 * @param open the store, new or as another test left it
 * @param count entries to walk through: more than one page, where there are pages
 */
export function describeEntryStore(open: () => EntryStore, count = 1_203): void {
  const namespaceOf = () => `test-${randomUUID()}`;

  test("gives back what was set, under its namespace only", async () => {
    const store = open();
    const one = new Keyv({ store, namespace: namespaceOf() });
    const two = new Keyv({ store, namespace: namespaceOf() });
    await one.set("key", { list: [1, "zwei", null, "\u0000 ü 🦊"] });
    await two.set("key", "other");
    expect(await one.get("key")).toEqual({ list: [1, "zwei", null, "\u0000 ü 🦊"] });
    expect(await two.get("key")).toBe("other");
    expect(await one.get("missing")).toBeUndefined();
  });

  test("replaces, deletes and knows what it has", async () => {
    const keyv = new Keyv({ store: open(), namespace: namespaceOf() });
    await keyv.set("key", 1);
    await keyv.set("key", 2);
    expect(await keyv.get("key")).toBe(2);
    expect(await keyv.has("key")).toBe(true);
    expect(await keyv.delete("key")).toBe(true);
    expect(await keyv.delete("key")).toBe(false);
    expect(await keyv.has("key")).toBe(false);
  });

  test("forgets what has expired, and a new value without an end stays", async () => {
    const store = open();
    const keyv = new Keyv({ store, namespace: namespaceOf() });
    await keyv.set("short", 1, SHORT_MS);
    await keyv.set("long", 2, 60_000);
    await keyv.set("renewed", 3, SHORT_MS);
    await keyv.set("renewed", 4);
    await vi.waitUntil(async () => (await keyv.get("short")) === undefined);
    expect([await keyv.get("long"), await keyv.get("renewed")]).toEqual([2, 4]);
    expect(await store.has(`${keyv.namespace}::short`)).toBe(false);
  });

  test("walks through every entry of more than one page once, and clears one namespace alone", async () => {
    const store = open();
    const [many, other] = [namespaceOf(), namespaceOf()];
    const keyv = new Keyv({ store, namespace: many });
    const keys = Array.from({ length: count }, (_, index) => `entry ${index} *?[a]`);
    await Promise.all(keys.map((key) => store.set(`${many}::${key}`, '{"value":1}')));
    await new Keyv({ store, namespace: other }).set("key", 2);
    const written = keys.map((key) => `${many}::${key}`).toSorted();
    const all = await keysOf(store.iterator());
    expect(all.filter((key) => key.startsWith(`${many}::`)).toSorted()).toEqual(written);
    // Keyv asks for its own namespace; it must get that alone, and all of it.
    expect((await keysOf(store.iterator(many))).toSorted()).toEqual(written);
    await keyv.clear();
    expect(await keyv.get(keys[7] ?? "")).toBeUndefined();
    expect(await new Keyv({ store, namespace: other }).get("key")).toBe(2);
  });

  test("a conversation lies there sealed, and is gone once its person's key is", async () => {
    const store = open();
    using keys = KeyRing.beside(":memory:");
    const memory = new ConversationMemory(openKeyv(store, "conversations", log), keys);
    const [key, speakerKey] = [randomUUID(), randomUUID()];
    await memory.append(key, [turnOf(speakerKey, "a secret of the sea")]);
    const raw = await store.get(`conversations::turns:${key}`);
    expect(raw).toContain(speakerKey);
    expect(raw).not.toMatch(/secret|Mira/);
    expect(await memory.turns(key)).toMatchObject([{ content: "a secret of the sea" }]);
    expect([...(await memory.turnsOf(speakerKey)).keys()]).toEqual([key]);
    keys.destroy(speakerKey);
    expect(await memory.turns(key)).toEqual([]);
  });

  test("a change of a server's settings counts at once for whoever reads it next", async () => {
    const store = open();
    const books = [0, 1].map(() => new SettingsBook(openKeyv(store, "guild-settings", log)));
    const guildId = randomUUID();
    await books[0]?.change(guildId, () => ({ memory: "channel" }));
    expect(await books[1]?.of(guildId)).toMatchObject({ memory: "channel" });
  });
}

async function keysOf(entries: AsyncIterable<readonly [string, string]>) {
  const keys: string[] = [];
  for await (const [key] of entries) keys.push(key);
  return keys;
}

function turnOf(speakerKey: string, content: string): Turn {
  const [messageIds, exchangeId] = [[randomUUID()], randomUUID()];
  return { role: "user", content, messageIds, exchangeId, speakerKey, speakerName: "Mira" };
}
