import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TRAINER_ENVIRONMENT, TRAINER_NODE_FLAGS } from "#deploy/start/trainer-process.ts";
import { CodedError } from "#engine/base/errors.ts";
import { sourceOf } from "#trainer/data/example-source.ts";
import { ExampleStore, type StoredItem } from "#trainer/data/example-store.ts";
import type { Example } from "#trainer/data/sequence.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { writeDataFiles } from "../../bench/data-files.ts";

const newPath = () => join(mkdtempSync(join(tmpdir(), "store-")), "examples.db");

const sequence = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 32_000 }), fc.nat(1)), { minLength: 1, maxLength: 9 })
  .map((cells) => ({
    tokens: Int32Array.from(cells, ([token]) => token),
    scored: Uint8Array.from(cells, ([, scored]) => scored),
  }));
const examples = fc
  .array(
    fc.record({
      sequences: fc.array(sequence, { minLength: 1, maxLength: 3 }),
      weight: fc.double({ min: 0.1, max: 2, noNaN: true }),
    }),
    { maxLength: 20 },
  )
  .map((list) => list.map((one, i): Example => ({ id: `e${i}`, ...one })));

/** Items whose key is their id; notes which were encoded. */
function itemsOf(given: readonly Example[], encoded: string[] = []): StoredItem[] {
  return given.map(({ id, weight, sequences }) => ({
    id,
    weight,
    key: Buffer.from(id),
    encode: () => {
      encoded.push(id);
      return { sequences, truncated: id === "e1" };
    },
  }));
}

test("what is stored is read back in order, with the hash and lengths of the list in memory", async () => {
  await fc.assert(
    fc.asyncProperty(examples, async (given) => {
      using store = ExampleStore.open(newPath());
      await store.fill(itemsOf(given));
      const list = sourceOf(given);
      expect(store.count).toBe(given.length);
      expect(store.sha256).toBe(list.sha256);
      for (const place of given.keys()) {
        expect(store.read(place)).toEqual(given[place]);
        expect(store.longestAt(place)).toBe(list.longestAt(place));
      }
      expect(() => store.read(given.length)).toThrow(RangeError);
    }),
    { numRuns: 20 },
  );
});

const [some = []] = fc.sample(
  examples.filter(({ length }) => length >= 4),
  { seed: 1, numRuns: 1 },
);

test("what was encoded once is not encoded again, in another process' place or order", async () => {
  const path = newPath();
  const encoded: string[] = [];
  {
    using store = ExampleStore.open(path);
    expect((await store.fill(itemsOf(some, encoded)))?.encoded).toBe(some.length);
  }
  using store = ExampleStore.open(path);
  const reversed = some.toReversed();
  const outcome = await store.fill(itemsOf(reversed, encoded));
  expect(outcome?.encoded).toBe(0);
  expect(outcome?.truncated).toEqual({ count: 1, ids: ["e1"] });
  expect(encoded).toHaveLength(some.length);
  expect(store.sha256).toBe(sourceOf(reversed).sha256);
});

test("what is no longer there is forgotten, and encoded anew when it comes back", async () => {
  using store = ExampleStore.open(newPath());
  await store.fill(itemsOf(some));
  await store.fill(itemsOf(some.slice(1)));
  const encoded: string[] = [];
  await store.fill(itemsOf(some, encoded));
  expect(encoded).toEqual(["e0"]);
});

test("items with nothing to learn are counted and named, and take no place", async () => {
  using store = ExampleStore.open(newPath());
  const empty = Array.from(
    { length: 300 },
    (_, i): StoredItem => ({
      id: `none ${i}`,
      weight: 1,
      key: Buffer.from(`none ${i}`),
      encode: () => ({ sequences: [], truncated: false }),
    }),
  );
  const outcome = await store.fill([...empty, ...itemsOf(some)]);
  expect(outcome?.dropped.count).toBe(300);
  expect(outcome?.dropped.ids).toHaveLength(100);
  expect(store.read(0).id).toBe("e0");
});

test("stopped halfway, it keeps what it has encoded", async () => {
  const path = newPath();
  const many = Array.from(
    { length: 1000 },
    (_, i): Example => ({
      id: `e${i}`,
      weight: 1,
      sequences: [{ tokens: Int32Array.of(1, i), scored: Uint8Array.of(0, 1) }],
    }),
  );
  const encoded: string[] = [];
  const controller = new AbortController();
  const items = itemsOf(many, encoded).map((item) => ({
    ...item,
    encode: () => {
      if (item.id === "e300") controller.abort();
      return item.encode();
    },
  }));
  {
    using store = ExampleStore.open(path);
    expect(await store.fill(items, controller.signal)).toBeUndefined();
  }
  const before = encoded.length;
  expect(before).toBeLessThan(1000);
  using store = ExampleStore.open(path);
  await store.fill(itemsOf(many, encoded));
  expect(encoded).toHaveLength(1000);
  expect(store.count).toBe(1000);
});

describe("examples of people", () => {
  const WORDS = Int32Array.of(71_001, 71_002, 71_003, 71_004);
  const sequences = [{ tokens: WORDS, scored: Uint8Array.of(0, 1, 1, 1) }];
  const itemOf = (id: string, ...personKeys: string[]): StoredItem => {
    return {
      id,
      weight: 1,
      key: Buffer.from(id),
      personKeys,
      encode: () => ({ sequences, truncated: false }),
    };
  };
  const filesOf = (path: string) =>
    readdirSync(dirname(path)).map((name) => readFileSync(join(dirname(path), name)));

  test("are read back, and no file holds their tokens in the clear", async () => {
    using keys = KeyRing.beside(":memory:");
    const path = newPath();
    using store = ExampleStore.open(path, keys);
    await store.fill([itemOf("one", "ann"), itemOf("two", "ann", "bob"), itemOf("none")]);
    expect([0, 1, 2].map((place) => store.read(place).sequences)).toEqual([
      sequences,
      sequences,
      sequences,
    ]);
    const found = filesOf(path).filter((bytes) => bytes.includes(Buffer.from(WORDS.buffer)));
    // Only the example that is nobody's.
    expect(found).toHaveLength(1);
    await store.fill([itemOf("one", "ann"), itemOf("two", "ann", "bob")]);
    expect(store.count).toBe(2);
  });

  test("stay closed once one of them is forgotten, and others' do not", async () => {
    using keys = KeyRing.beside(":memory:");
    using store = ExampleStore.open(newPath(), keys);
    await store.fill([itemOf("hers", "ann"), itemOf("theirs", "ann", "bob"), itemOf("his", "bob")]);
    keys.destroy("ann");
    expect(() => store.read(0)).toThrow(/hers has asked to be forgotten/);
    expect(() => store.read(1)).toThrow(CodedError);
    expect(store.read(2).sequences).toEqual(sequences);
    // Filled anew they are encoded again: the ring makes new keys.
    expect((await store.fill([itemOf("theirs", "ann", "bob")]))?.encoded).toBe(1);
    expect(store.read(0).sequences).toEqual(sequences);
  });

  test("are refused where there is nothing to seal them with", async () => {
    using store = ExampleStore.open(newPath());
    await expect(store.fill([itemOf("one", "ann")])).rejects.toThrow(/nothing to seal/);
  });
});

test("thirty times the pairs take no more memory: encoding and a shuffled epoch, each in a process", async () => {
  const folder = mkdtempSync(join(tmpdir(), "memory-"));
  const child = join(import.meta.dirname, "../../bench/data-child.ts");
  const flags = [...TRAINER_NODE_FLAGS, "--expose-gc"];
  const measure = async (
    pairs: number,
  ): Promise<{ peakMegabytes: number; liveKilobytes: number; pairs: number }> => {
    await writeDataFiles(folder, pairs);
    const output = execFileSync(process.execPath, [...flags, child, String(pairs), folder], {
      encoding: "utf8",
      env: { ...process.env, ...TRAINER_ENVIRONMENT },
    });
    return JSON.parse(output);
  };
  const few = await measure(500);
  const many = await measure(15_000);
  expect(many.pairs).toBe(15_000);
  // In memory these pairs' tokens and masks alone would take 9 MB, their objects and texts about 30.
  expect(many.peakMegabytes).toBeLessThan(1.12 * few.peakMegabytes);
  // What JavaScript cannot let go: 200 bytes a pair would be too many.
  expect(many.liveKilobytes - few.liveKilobytes).toBeLessThan(3_000);
});
