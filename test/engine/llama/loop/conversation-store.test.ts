import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConversationStore } from "#engine/llama/loop/conversation-store.ts";

const root = mkdtempSync(join(tmpdir(), "conversation-store-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
function openStore(limitBytes = 10_000_000) {
  folders += 1;
  const folder = join(root, String(folders));
  return { folder, store: new ConversationStore(folder, limitBytes) };
}

const range = (start: number, length: number) => Array.from({ length }, (_, i) => start + i);
const state = (bytes: number, fill = 7) => new Uint8Array(bytes).map((_, i) => (i * fill) % 251);

async function returned(shelf: ReturnType<ConversationStore["shelf"]>, prompt: readonly number[]) {
  const found = shelf.find(prompt);
  return found === undefined ? undefined : shelf.take(found.conversation);
}

describe("a parked conversation", () => {
  test("comes back byte for byte, once", async () => {
    const { store } = openStore();
    const shelf = store.shelf();
    const bytes = state(700_001);
    shelf.park(range(0, 100), bytes);
    expect(shelf.find([...range(0, 80), 999])?.kept).toBe(80);
    expect(await returned(shelf, range(0, 120))).toEqual(bytes);
    expect(shelf.find(range(0, 120))).toBeUndefined();
    expect(store.stats).toMatchObject({ conversations: 0, bytes: 0, parked: 1, returned: 1 });
  });

  test("is found by its longest common prefix, which leaves a token of the prompt", () => {
    const shelf = openStore().store.shelf();
    shelf.park([...range(0, 70), 1, 1], state(10));
    shelf.park([...range(0, 90), 2, 2], state(10));
    expect(shelf.find(range(0, 200))?.kept).toBe(90);
    expect(shelf.find(range(0, 50))?.kept).toBe(49);
    expect(shelf.find(range(500, 50))).toBeUndefined();
  });

  test("of another adapter is never found", () => {
    const { store } = openStore();
    store.shelf().park(range(0, 100), state(10));
    expect(store.shelf().find(range(0, 100))).toBeUndefined();
  });

  test("makes its own earlier part superfluous", async () => {
    const { store } = openStore();
    const shelf = store.shelf();
    shelf.park(range(0, 70), state(10));
    shelf.park(range(0, 100), state(20));
    expect(store.stats).toMatchObject({ conversations: 1, bytes: 20 });
  });
});

describe("the store", () => {
  test("is bounded: the oldest make room, and what is too large is let go", async () => {
    const { store, folder } = openStore(1000);
    const shelf = store.shelf();
    for (const start of [0, 1000, 2000]) {
      shelf.park(range(start, 70), state(400));
      await returned(store.shelf(), []);
    }
    shelf.park(range(5000, 70), state(1001));
    expect(store.stats).toMatchObject({ conversations: 2, bytes: 800 });
    expect(shelf.find(range(0, 70))).toBeUndefined();
    expect(shelf.find(range(1000, 71))?.kept).toBe(70);
    await store[Symbol.asyncDispose]();
    expect(existsSync(folder)).toBe(false);
  });

  test("lets go what the disk cannot keep up with, instead of holding it in memory", () => {
    const { store } = openStore();
    const shelf = store.shelf();
    for (let start = 0; start < 100; start += 1) shelf.park(range(start * 1000, 70), state(1000));
    expect(store.stats.conversations).toBe(4);
  });

  test("keeps nothing readable on disk, and empties what an earlier process left", async () => {
    const { store, folder } = openStore();
    const shelf = store.shelf();
    const secret = Buffer.from("what a person wrote ".repeat(100));
    shelf.park(range(0, 100), secret);
    shelf.park(range(1000, 100), secret);
    const found = shelf.find(range(0, 101));
    expect(found === undefined ? undefined : await shelf.take(found.conversation)).toEqual(
      new Uint8Array(secret),
    );
    const [file] = readdirSync(folder);
    expect(readFileSync(join(folder, file ?? "")).includes("person")).toBe(false);
    new ConversationStore(folder, 1000);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("takes a file that someone changed for lost", async () => {
    const { store, folder } = openStore();
    const shelf = store.shelf();
    shelf.park(range(0, 100), state(5000));
    shelf.park(range(1000, 100), state(5000));
    await returned(shelf, range(1000, 101));
    const [file = ""] = readdirSync(folder);
    const bytes = readFileSync(join(folder, file));
    bytes.writeUInt8(bytes.readUInt8(17) ^ 1, 17);
    writeFileSync(join(folder, file), bytes);
    expect(await returned(shelf, range(0, 101))).toBeUndefined();
    expect(store.stats.conversations).toBe(0);
  });
});
