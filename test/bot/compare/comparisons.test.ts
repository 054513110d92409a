import { Keyv } from "keyv";
import { expect, test } from "vitest";
import type { Comparison } from "#bot/compare/comparison.ts";
import { Comparisons } from "#bot/compare/comparisons.ts";
import { createLog } from "#engine/base/log.ts";
import { HandClock } from "../../deploy/playground/arena.ts";

const MINUTE_MS = 60_000;

/** Servers one after another on a shard each, as Discord parts them. */
const guildOf = (shard: number, count: number, n: number) =>
  String(BigInt(n * count + shard) << 22n);

function openWorld() {
  const clock = new HandClock();
  const store = new Keyv();
  const revealed: string[] = [];
  /** The process that has these servers. */
  const startProcess = (guildIds: readonly (string | null)[]) => {
    const comparisons = new Comparisons(store, {
      clock,
      eventsOf: () => [],
      reveal: async ({ id }) => void revealed.push(id),
      log: createLog("bot", "silent"),
    });
    for (const guildId of guildIds) comparisons.adopt(guildId);
    return comparisons;
  };
  const comparison = (id: string, guildId: string | null, minutes = 5): Comparison => ({
    ...{ id, guildId, channelId: "c", messageIds: [`m ${id}`], quorum: 5, isClosed: false },
    sides: [
      { candidateId: `${id} a`, name: "A" },
      { candidateId: `${id} b`, name: "B" },
    ],
    closesAtMs: clock.nowMs() + minutes * MINUTE_MS,
  });
  return { clock, store, revealed, startProcess, comparison };
}

test.each([
  { from: 3, to: 1 },
  { from: 1, to: 3 },
  { from: 3, to: 2 },
])(
  "open while SHARDS goes from $from to $to, each is revealed once, by whoever has its server",
  async ({ from, to }) => {
    const { clock, revealed, startProcess, comparison } = openWorld();
    const guildIds = [0, 1, 2].flatMap((shard) => [1, 2].map((n) => guildOf(shard, 3, n)));
    const places: readonly (string | null)[] = [null, ...guildIds];
    const processes = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        startProcess(
          places.filter((id) => (id === null ? 0 : Number(BigInt(id) >> 22n) % count) === index),
        ),
      );
    const before = processes(from);
    for (const [n, id] of places.entries()) {
      const shard = id === null ? 0 : Number(BigInt(id) >> 22n) % from;
      await before[shard]?.open(comparison(`one of ${id}`, id));
      // Votes are still open on some of them later.
      if (n < 2) await before[shard]?.open(comparison(`long one of ${id}`, id, 60));
    }
    for (const each of before) each[Symbol.dispose]();
    const after = processes(to);
    for (const each of after) expect(await each.closeDue()).toBe(0);
    clock.forward(6 * MINUTE_MS);
    for (const each of after) await each.closeDue();
    expect(revealed.toSorted()).toEqual(places.map((id) => `one of ${id}`).toSorted());
    clock.forward(60 * MINUTE_MS);
    for (const each of after) await each.closeDue();
    for (const each of processes(from)) await each.closeDue();
    expect(revealed.filter((id) => id.startsWith("long"))).toHaveLength(2);
    expect(new Set(revealed).size).toBe(revealed.length);
  },
);

test("those that were open before servers had lists of their own are revealed, too", async () => {
  const { clock, store, revealed, startProcess, comparison } = openWorld();
  const { guildId: _, ...old } = comparison("old", null);
  await store.set("one:old", old);
  await store.set("open", ["old"]);
  const comparisons = startProcess(["1"]);
  comparisons.adoptProcess(0);
  clock.forward(6 * MINUTE_MS);
  expect([await comparisons.closeDue(), await comparisons.closeDue()]).toEqual([1, 0]);
  expect(revealed).toEqual(["old"]);
});

test("a list that could not be read is taken up when it can be", async () => {
  const { clock, store, revealed, startProcess, comparison } = openWorld();
  await startProcess([]).open(comparison("one", "7"));
  const get = store.get.bind(store);
  store.get = () => Promise.reject(new Error("away"));
  const next = startProcess(["7"]);
  await expect(next.closeDue()).rejects.toThrow("away");
  store.get = get;
  clock.forward(6 * MINUTE_MS);
  expect(await next.closeDue()).toBe(1);
  expect(revealed).toEqual(["one"]);
});
