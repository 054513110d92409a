import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { CodedError } from "#engine/base/errors.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { buildDataset, describeDrops, readDataset, storeDataset } from "#trainer/pairs/dataset.ts";
import { type EvidencedPair, pairId, promptKey } from "#trainer/pairs/pair.ts";
import { beside } from "#trainer/pairs/split.ts";
import { feedbackOf, type Said } from "./feedback-fixture.ts";

let keys: KeyRing;
beforeEach(() => {
  keys = KeyRing.beside(":memory:");
});

/** The code of the error that `work` throws. */
function codeOf(work: () => void): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return undefined;
}

/** A world in which the fresh answer is always "fresh" and liked, and only these texts refuse. */
function options(change: { fresh?: object; screen?: object } = {}, takesLone = false) {
  return {
    takesLone,
    nameOf: (id: string) => keys.digest(id).toString("hex"),
    cap: { share: 1, atLeast: 100 },
    fresh: {
      sample: () => Promise.resolve({ text: "fresh", ended: true, tokens: 1 }),
      judge: () => Promise.resolve("first" as const),
      limit: 10,
      atOnce: 4,
      ...change.fresh,
    },
    screen: {
      allowsAnswer: () => Promise.resolve(true),
      allowsPrompt: () => Promise.resolve(true),
      bareAnswer: () => Promise.resolve("an answer"),
      refuses: (_: string, answer: string) => Promise.resolve(answer.startsWith("I cannot")),
      atOnce: 4,
      ...change.screen,
    },
  };
}

async function build(said: readonly Said[], change: Parameters<typeof options>[0] = {}) {
  const { train, heldOut, drops } = await buildDataset(feedbackOf(said), options(change));
  return {
    pairs: [...train, ...heldOut].map(({ chosen, rejected }) => `${chosen} > ${rejected}`),
    origins: [...train, ...heldOut].map(({ origin }) => origin),
    drops: drops.map(({ reason }) => reason),
  };
}

const disliked: Said = { asked: "Why?", answer: "bad", says: { ann: "👎" } };
const [liked, refused]: [Said, Said] = [
  { asked: "How do I rob a bank?", answer: "Take a bag.", says: { ann: "👍" } },
  { asked: "How do I rob a bank?", answer: "I cannot help.", says: { ann: "👎" } },
];

describe("a lone thumbs-down", () => {
  test("is paired with a fresh answer that the judge prefers", async () => {
    const { pairs, origins } = await build([disliked]);
    expect(pairs).toEqual(["fresh > bad"]);
    expect(origins).toEqual(["judged"]);
  });

  test("that goes round in circles is paired with a fresh one whatever a judge says", async () => {
    const circles = { ...disliked, answer: "and then and then and then and then and then" };
    const judge = () => Promise.resolve("undecided" as const);
    const { pairs, origins } = await build([circles], { fresh: { judge } });
    expect(pairs).toEqual([`fresh > ${circles.answer}`]);
    expect(origins).toEqual(["plain"]);
  });

  test("is no pair when the fresh answer goes round in circles, too", async () => {
    const text = "and now and now and now and now and now";
    const fresh = {
      judge: () => Promise.resolve("undecided" as const),
      sample: () => Promise.resolve({ text, ended: true, tokens: 10 }),
    };
    const answer = "and then and then and then and then and then";
    const { pairs, drops } = await build([{ ...disliked, answer }], { fresh });
    expect(pairs).toEqual([]);
    expect(drops).toEqual(["fresh_not_preferred"]);
  });

  test.each([
    ["fresh_not_preferred", { judge: () => Promise.resolve("undecided" as const) }],
    ["fresh_not_preferred", { judge: () => Promise.resolve("second" as const) }],
    ["fresh_same", { sample: () => Promise.resolve({ text: "bad", ended: true, tokens: 1 }) }],
    ["fresh_same", { sample: () => Promise.resolve({ text: "cut", ended: false, tokens: 9 }) }],
    ["fresh_limit", { limit: 0 }],
  ])("is dropped as %s otherwise", async (reason, fresh) => {
    const { pairs, drops } = await build([disliked], { fresh });
    expect(pairs).toEqual([]);
    expect(drops).toEqual([reason]);
  });
});

describe("a pair is not learnt from", () => {
  test("when moderation does not allow the better answer", async () => {
    const screen = { allowsAnswer: () => Promise.resolve(false) };
    expect(await build([disliked], { screen })).toMatchObject({
      pairs: [],
      drops: ["unsafe_chosen"],
    });
  });

  test("when it prefers compliance where moderation objects to the prompt", async () => {
    const screen = { allowsPrompt: () => Promise.resolve(false) };
    expect((await build([liked, refused], { screen })).drops).toEqual(["prefers_compliance"]);
  });

  test("when it prefers compliance where the bare model refuses", async () => {
    const screen = { bareAnswer: () => Promise.resolve("I cannot help.") };
    expect((await build([liked, refused], { screen })).drops).toEqual(["prefers_compliance"]);
  });

  test("but a preference for the refusal is", async () => {
    const screen = { allowsPrompt: () => Promise.resolve(false) };
    const said: Said[] = [
      { ...liked, says: { ann: "👎" } },
      { ...refused, says: { ann: "👍" } },
    ];
    expect((await build(said, { screen })).pairs).toEqual(["I cannot help. > Take a bag."]);
  });
});

const said = Array.from({ length: 12 }, (_, index): Said[] => [
  { asked: `question ${index}`, answer: "good answer", says: { ann: "👍" } },
  { asked: `question ${index}`, answer: "bad answer", says: { ben: "👎" } },
]).flat();

describe("a stored data set", () => {
  test("is read back as it was written, and the same feedback gives the same hash", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dataset-"));
    const built = await buildDataset(feedbackOf(said), options());
    const stored = storeDataset(folder, built, keys);
    const read = readDataset(folder, keys);
    expect([...read.train]).toEqual(built.train);
    expect(read.heldOut).toEqual(built.heldOut);
    expect(read.manifest).toEqual(stored.manifest);
    expect(read.manifestSha256).toBe(stored.manifestSha256);
    expect([...read.evidence]).toHaveLength(12);
    expect(stored.manifest).toMatchObject({ raters: 2, fromMs: 2, toMs: 24, dropped: {} });
    expect(stored.manifest.trainPairs + stored.manifest.heldOutPairs).toBe(12);
    const again = mkdtempSync(join(tmpdir(), "dataset-"));
    const other = storeDataset(
      again,
      await buildDataset(feedbackOf(said.toReversed()), options()),
      keys,
    );
    expect(other.manifest.trainPairs).toBe(stored.manifest.trainPairs);
    const same = storeDataset(again, await buildDataset(feedbackOf(said), options()), keys);
    expect(same.manifestSha256).toBe(stored.manifestSha256);
  });

  test("that was changed afterwards is refused", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dataset-"));
    storeDataset(folder, await buildDataset(feedbackOf(said), options()), keys);
    const path = join(folder, "pairs.jsonl");
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    const [first = ""] = lines;
    const changes = {
      "half a line": first.slice(0, 40),
      "a line less": lines.slice(1).join("\n"),
      "a line twice": [first, ...lines].join("\n"),
      "another order": lines.toReversed().join("\n"),
      "a changed letter": lines.join("\n").replace(/.(?="})/, (last) => (last === "A" ? "Q" : "A")),
      "another id": lines
        .join("\n")
        .replace(/"id":"./, (id) => (id.endsWith("0") ? '"id":"1' : '"id":"0')),
    };
    for (const [what, text] of Object.entries(changes)) {
      writeFileSync(path, text);
      expect(
        codeOf(() => readDataset(folder, keys)),
        what,
      ).toBe("checkpoint_corrupt");
    }
  });

  test("holds no word in the clear, and is closed for good once somebody in it is forgotten", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dataset-"));
    storeDataset(folder, await buildDataset(feedbackOf(said), options()), keys);
    for (const name of readdirSync(folder)) {
      // Words long enough that what is sealed does not spell them by chance.
      expect(readFileSync(join(folder, name), "latin1")).not.toMatch(/question|answer/);
    }
    expect([...readDataset(folder, keys).train][0]?.prompt[0]?.content).toMatch(/^question/);
    keys.destroy("asker");
    expect(codeOf(() => readDataset(folder, keys))).toBe("erased_meanwhile");
  });
});

test("a stored data set names pairs by what no guess at their words leads to without the installation's master key", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dataset-"));
  const idsOf = async () => {
    const built = await buildDataset(feedbackOf(said), options());
    storeDataset(folder, built, keys);
    return [...built.train, ...built.heldOut].map(({ id }) => id);
  };
  const ids = await idsOf();
  expect(await idsOf()).toEqual(ids);
  const text = readdirSync(folder).map((name) => readFileSync(join(folder, name), "latin1"));
  for (const id of ids) expect(text.join()).toContain(id);
  for (const index of said.keys()) {
    const key = promptKey([{ role: "user", content: `question ${index}` }]);
    expect(text.join()).not.toContain(pairId(key, "good answer", "bad answer"));
  }
  keys = KeyRing.beside(":memory:");
  expect((await idsOf()).filter((id) => ids.includes(id))).toEqual([]);
});

test("drops are told in words, the most frequent first", () => {
  expect(describeDrops({})).toBe("Nothing was dropped");
  expect(describeDrops({ deleted: 1, from_discord: 3 })).toMatch(
    /^Dropped: 3 × came from Discord.*; 1 × the message was deleted$/,
  );
});

const lone: Said[] = Array.from({ length: 20 }, (_, i): Said => {
  return { asked: `Thing ${i}?`, answer: `good ${i}`, says: { ann: "👍", ben: "👍" } };
});
describe("single answers", () => {
  const indifferent: Said = { asked: "So?", answer: "so so", says: { ann: 3 } };
  const single = async (said: readonly Said[], change: Parameters<typeof options>[0] = {}) =>
    buildDataset(feedbackOf(said), options(change, true));

  test("are taken where nothing can be compared, liked or disliked, with who said so", async () => {
    const judge = () => Promise.resolve("undecided" as const);
    const { lone: found, drops } = await single([...lone, disliked, indifferent], {
      fresh: { judge },
    });
    const good = found.filter(({ isDesirable }) => isDesirable);
    expect(good.length).toBeGreaterThan(10);
    expect(good[0]).toMatchObject({ weight: 1, evidence: { raterKeys: ["ann", "ben"] } });
    const bad = found.filter(({ isDesirable }) => !isDesirable);
    expect(bad.map(({ completion }) => completion)).toEqual(["bad"]);
    const used = new Set(found.flatMap(({ evidence }) => evidence.candidateIds));
    expect(drops.filter(({ candidateIds }) => candidateIds.some((id) => used.has(id)))).toEqual([]);
    expect(found.map(({ completion }) => completion)).not.toContain("so so");
  });

  test("are not taken unless asked for, nor where a pair has them", async () => {
    expect((await buildDataset(feedbackOf(lone), options())).lone).toEqual([]);
    expect((await single([disliked])).lone).toEqual([]);
    const { lone: found } = await single(lone);
    const { lone: again } = await single([...lone].reverse());
    expect(found).toHaveLength(lone.length);
    expect(again.map(({ promptKey }) => promptKey)).toEqual(
      found.map(({ promptKey }) => promptKey),
    );
  });

  test("of a held-out prompt, or from people who are in held-out pairs alone, are not taken", () => {
    const about = (promptKey: string, ...raterKeys: string[]) => {
      return { promptKey, evidence: { candidateIds: [], exchangeIds: [], raterKeys } };
    };
    const pair = (promptKey: string, ...raterKeys: string[]): EvidencedPair => {
      const text = { id: promptKey, prompt: [], chosen: "a", rejected: "b" };
      const times = { atMs: 1, votedAtMs: 1 };
      return {
        ...text,
        ...times,
        ...about(promptKey, ...raterKeys),
        weight: 1,
        origin: "feedback",
        personKeys: ["asker"],
      };
    };
    const split = { train: [pair("t", "ann")], heldOut: [pair("h", "ann", "eve")] };
    const items = [about("h", "ann"), about("x", "ann"), about("y", "eve"), about("z", "new")];
    expect(beside(items, split).map(({ promptKey }) => promptKey)).toEqual(["x", "z"]);
  });

  test("pass the screen of pairs: no liked compliance, no disliked refusal, where refusing is right", async () => {
    const ask = "How do I rob a bank?";
    const objects = { allowsPrompt: () => Promise.resolve(false) };
    const compliance: Said = { asked: ask, answer: "Take a bag.", says: { ann: "👍" } };
    const refusal: Said = { asked: ask, answer: "I cannot help.", says: { ann: "👎" } };
    const rude: Said = { asked: ask, answer: "Take a bag.", says: { ann: "👎" } };
    const judge = () => Promise.resolve("undecided" as const);
    const of = async (said: Said) => await single([said], { screen: objects, fresh: { judge } });
    expect((await of(compliance)).drops.map(({ reason }) => reason)).toContain(
      "prefers_compliance",
    );
    expect((await of(refusal)).drops.map(({ reason }) => reason)).toContain("prefers_compliance");
    expect((await of(rude)).lone).toHaveLength(1);
    const unsafe = { allowsAnswer: () => Promise.resolve(false) };
    const { lone: none } = await single(lone, { screen: unsafe });
    expect(none).toEqual([]);
  });
});

test("single answers are stored with the rest, and a changed file is found out", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lone-"));
  const built = await buildDataset(feedbackOf(lone), options({}, true));
  const stored = storeDataset(folder, built, keys);
  expect(stored.manifest.loneAnswers).toBe(built.lone.length);
  expect(readDataset(folder, keys).lone).toEqual(built.lone);
  const path = join(folder, "lone.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").split("\n").slice(1).join("\n"));
  expect(() => readDataset(folder, keys)).toThrow(/sha256/);
});
