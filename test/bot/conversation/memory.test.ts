import { Keyv } from "keyv";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConversationMemory, conversationKey } from "#bot/conversation/memory.ts";
import type { Turn } from "#bot/conversation/window.ts";
import { openSqliteStore, type SqliteStore } from "#bot/storage/sqlite-store.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";

const DAY_MS = 86_400_000;
let store: SqliteStore;
let memory: ConversationMemory;
let keys: KeyRing;

beforeEach(() => {
  keys = KeyRing.beside(":memory:");
  store = openSqliteStore(":memory:");
  memory = new ConversationMemory(new Keyv({ store, namespace: "conversations" }), keys);
});
afterEach(() => store[Symbol.dispose]());

/** A question and its answer, shown by messages `q<n>` and `a<n>`. */
function exchange(n: number): readonly Turn[] {
  const common = { exchangeId: `x${n}`, speakerKey: "mira", speakerName: "Mira" };
  return [
    { ...common, role: "user", content: `question ${n}`, messageIds: [`q${n}`] },
    { ...common, role: "assistant", content: `answer ${n}`, messageIds: [`a${n}`, `a${n}b`] },
  ];
}

const contents = async (key: string) => (await memory.turns(key)).map(({ content }) => content);

describe("conversations", () => {
  test("turns come back in order, also when many are added at once", async () => {
    await Promise.all([1, 2, 3].map((n) => memory.append("k", exchange(n))));
    expect(await memory.turns("k")).toEqual([1, 2, 3].flatMap(exchange));
    expect(await memory.turns("other")).toEqual([]);
  });

  test("only the newest sixty turns are kept", async () => {
    for (let n = 0; n < 40; n++) await memory.append("k", exchange(n));
    const kept = await contents("k");
    expect(kept).toHaveLength(60);
    expect(kept[0]).toBe("question 10");
  });

  test("continuing from an answer drops what came after it", async () => {
    await memory.append("k", [...exchange(1), ...exchange(2)]);
    expect(await memory.continueFrom("a1b", "k")).toBe(true);
    expect(await contents("k")).toEqual(["question 1", "answer 1"]);
  });

  test("continuing somebody else's conversation leaves theirs as it is", async () => {
    await memory.append("theirs", [...exchange(1), ...exchange(2)]);
    expect(await memory.continueFrom("a1", "mine")).toBe(true);
    expect(await contents("mine")).toEqual(["question 1", "answer 1"]);
    expect(await contents("theirs")).toHaveLength(4);
    expect(await memory.continueFrom("unknown", "mine")).toBe(false);
  });

  test("however long a conversation goes on, a message in it is found when it is deleted", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const start = Date.now();
      await memory.append("k", exchange(1));
      await memory.continueFrom("a1", "copy");
      const [later, latest] = [21, 42];
      for (const day of [later, latest]) {
        vi.setSystemTime(start + day * DAY_MS);
        await memory.append("k", exchange(day));
      }
      await memory.append("copy", exchange(50));
      vi.setSystemTime(start + (latest + 25) * DAY_MS);
      expect(await contents("k")).toContain("question 1");
      expect(await contents("copy")).toEqual(["question 50", "answer 50"]);
      expect(await memory.forgetMessage("q21")).toEqual(["x21", "x42"]);
      expect(await memory.forgetMessage("q1")).toEqual(["x1", "x42"]);
      expect(await contents("k")).toEqual(["question 42", "answer 42"]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a deleted message goes with its question or answer, wherever it was copied to", async () => {
    await memory.append("k", [...exchange(1), ...exchange(2), ...exchange(3)]);
    await memory.continueFrom("a2", "copy");
    expect(await memory.forgetMessage("q2")).toEqual(["x2", "x3"]);
    expect(await contents("k")).toEqual(["question 1", "answer 1", "question 3", "answer 3"]);
    expect(await contents("copy")).toEqual(["question 1", "answer 1"]);
    expect(await memory.forgetMessage("q2")).toEqual([]);
  });

  test("a store that holds something else is an empty conversation", async () => {
    const keyv = new Keyv({ store, namespace: "conversations" });
    await keyv.set("turns:k", { not: "turns" });
    expect(await memory.turns("k")).toEqual([]);
  });

  test("a full store costs the conversation, not the answer", async () => {
    const failing = new Keyv({ store: { ...store, set: () => Promise.reject(new Error("full")) } });
    const errors: unknown[] = [];
    failing.on("error", (error: unknown) => errors.push(error));
    await new ConversationMemory(failing, keys).append("k", exchange(1));
    expect(errors.length).toBeGreaterThan(0);
  });
});

test("a store across a network is waited for a few times a turn, not once for each message", async () => {
  let [pending, waits] = [0, 0];
  const far = {
    ...store,
    get: async (key: string) => {
      if (pending === 0) waits += 1;
      pending += 1;
      await new Promise((resolve) => setImmediate(resolve));
      pending -= 1;
      return store.get(key);
    },
  };
  const other = new ConversationMemory(new Keyv({ store: far, namespace: "far" }), keys);
  await other.append("k", [...Array(30).keys()].flatMap(exchange));
  waits = 0;
  await other.append("k", exchange(30));
  expect(waits).toBeLessThan(5);
  expect(await other.forgetMessage("a30b")).toEqual(["x30"]);
});

describe("whose conversation", () => {
  test("is one a person in a channel, and one for all in a thread", () => {
    const key = (channelId: string, threadId: string | null, personKey: string) =>
      conversationKey({ channelId, threadId, personKey });
    expect(key("c", null, "mira")).not.toBe(key("c", null, "aiko"));
    expect(key("c", null, "mira")).not.toBe(key("d", null, "mira"));
    expect(key("t", "t", "mira")).toBe(key("t", "t", "aiko"));
  });

  test("the bot remembers which threads it takes part in", async () => {
    expect(await memory.threadMode("t")).toBeUndefined();
    await memory.joinThread("t");
    expect(await memory.threadMode("t")).toBe("all");
    await memory.joinThread("t", "mention");
    await memory.joinThread("t");
    expect(await memory.threadMode("t")).toBe("mention");
  });
});

describe("what is stored", () => {
  const stored = async () => {
    const entries: [string, string][] = [];
    for await (const entry of store.iterator()) entries.push(entry);
    return JSON.stringify(entries);
  };

  test("holds neither texts nor names in the clear", async () => {
    await memory.append("k", exchange(1));
    expect(await stored()).not.toMatch(/question|answer|Mira/);
    expect(await contents("k")).toEqual(["question 1", "answer 1"]);
  });

  test("is gone with a person's key, and others' turns stay", async () => {
    const sades = exchange(2).map((turn) => ({ ...turn, speakerKey: "sade" }));
    await memory.append("k", [...exchange(1), ...sades]);
    keys.destroy("mira");
    expect(await contents("k")).toEqual(["question 2", "answer 2"]);
  });

  test("from before there was sealing is sealed at the start", async () => {
    const plain = new Keyv({ store, namespace: "conversations" });
    await plain.set("turns:old", exchange(1));
    expect(await stored()).toContain("question 1");
    await memory.sealOld();
    expect(await stored()).not.toContain("question 1");
    expect(await contents("old")).toEqual(["question 1", "answer 1"]);
  });

  test("is not read through again at every start", async () => {
    await memory.append("k", exchange(1));
    let walks = 0;
    const walked = {
      ...store,
      iterator: (namespace?: string) => {
        walks += 1;
        return store.iterator(namespace);
      },
    };
    for (let start = 0; start < 3; start++) {
      const opened = new Keyv({ store: walked, namespace: "conversations" });
      await new ConversationMemory(opened, keys).sealOld();
    }
    expect(walks).toBe(1);
  });

  test("of one person can be listed by conversation", async () => {
    await memory.append("k", exchange(1));
    await memory.append(
      "l",
      exchange(2).map((turn) => ({ ...turn, speakerKey: "sade" })),
    );
    expect([...(await memory.turnsOf("mira")).keys()]).toEqual(["k"]);
  });
});

describe("a person's turns", () => {
  test("are found without reading other people's conversations, however many there are", async () => {
    const read: string[] = [];
    const counted = {
      ...store,
      get: (key: string) => {
        read.push(key);
        return store.get(key);
      },
    };
    const other = new ConversationMemory(
      new Keyv({ store: counted, namespace: "conversations" }),
      keys,
    );
    for (let n = 0; n < 50; n++) {
      const theirs = exchange(n).map((turn) => ({ ...turn, speakerKey: `person ${n}` }));
      await other.append(`theirs ${n}`, theirs);
    }
    await other.append("own", exchange(100));
    read.length = 0;
    expect([...(await other.turnsOf("mira")).keys()]).toEqual(["own"]);
    expect(read.length).toBeLessThan(5);
  });

  test("are indexed, too, where they were remembered before there was an index", async () => {
    await memory.append("k", exchange(1));
    await new Keyv({ store, namespace: "conversations" }).delete("person:mira");
    expect((await memory.turnsOf("mira")).size).toBe(0);
    await memory.sealOld();
    expect([...(await memory.turnsOf("mira")).keys()]).toEqual(["k"]);
  });

  test("are all found when there are more conversations than a list holds untidied", async () => {
    for (let n = 0; n < 80; n++) await memory.append(`k${n}`, exchange(n));
    for (let n = 0; n < 70; n++) await memory.forget(`k${n}`);
    await memory.append("last", exchange(200));
    const found = [...(await memory.turnsOf("mira")).keys()];
    expect(found.toSorted()).toEqual([...Array(10).keys()].map((n) => `k${n + 70}`).concat("last"));
  });
});
