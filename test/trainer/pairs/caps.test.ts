import fc from "fast-check";
import { expect, test } from "vitest";
import { capRaters } from "#trainer/pairs/caps.ts";
import type { EvidencedPair } from "#trainer/pairs/pair.ts";
import { fromUnseenRaters, HELD_OUT_MIN_PAIRS, splitPairs } from "#trainer/pairs/split.ts";

function pair(index: number, promptKey: string, raterKeys: readonly string[]): EvidencedPair {
  return {
    id: `p${index}`,
    prompt: [{ role: "user", content: promptKey }],
    promptKey,
    chosen: "a",
    rejected: "b",
    weight: 1,
    origin: "feedback",
    evidence: { candidateIds: [`c${index}`], exchangeIds: [], raterKeys },
    atMs: index,
  };
}

const pairs = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 30 }),
      fc.uniqueArray(fc.constantFrom("r", "s", "t", "u"), { minLength: 1, maxLength: 3 }),
    ),
    { minLength: 1, maxLength: 80 },
  )
  .map((list) => list.map(([prompt, raters], index) => pair(index, `prompt ${prompt}`, raters)));

test("nobody decides more pairs than the cap, and every pair is kept or dropped once", () => {
  fc.assert(
    fc.property(pairs, (given) => {
      const cap = { share: 0.2, atLeast: 3 };
      const { pairs: kept, drops } = capRaters(given, cap);
      const limit = Math.max(cap.atLeast, Math.floor(given.length * cap.share));
      for (const rater of ["r", "s", "t", "u"]) {
        const decided = kept
          .filter(({ evidence }) => evidence.raterKeys.includes(rater))
          .reduce((sum, { evidence }) => sum + 1 / evidence.raterKeys.length, 0);
        expect(decided).toBeLessThanOrEqual(limit + 1e-6);
      }
      const ids = [
        ...kept.flatMap((one) => one.evidence.candidateIds),
        ...drops.flatMap((d) => d.candidateIds),
      ];
      expect(ids.sort()).toEqual(given.flatMap((one) => one.evidence.candidateIds).sort());
    }),
  );
});

test("a community of one may decide as many pairs as the floor allows, the newest", () => {
  const given = Array.from({ length: 30 }, (_, index) => pair(index, `prompt ${index}`, ["r"]));
  const { pairs: kept, drops } = capRaters(given, { share: 0.1, atLeast: 24 });
  expect(kept).toHaveLength(24);
  expect(Math.min(...kept.map(({ atMs }) => atMs))).toBe(6);
  expect(drops.every(({ reason }) => reason === "rater_cap")).toBe(true);
});

test("no prompt is on both sides of the split, and nothing is lost", () => {
  fc.assert(
    fc.property(pairs, (given) => {
      const { train, heldOut } = splitPairs(given);
      const trained = new Set(train.map(({ promptKey }) => promptKey));
      expect(heldOut.some(({ promptKey }) => trained.has(promptKey))).toBe(false);
      expect(train.length + heldOut.length).toBe(given.length);
      expect(heldOut.length).toBeGreaterThanOrEqual(Math.min(HELD_OUT_MIN_PAIRS, given.length));
    }),
  );
});

test("a prompt stays on its side when more prompts come", () => {
  const many = Array.from({ length: 400 }, (_, index) => pair(index, `prompt ${index}`, ["r"]));
  const early = splitPairs(many.slice(0, 200));
  const late = splitPairs(many);
  const lateHeldOut = new Set(late.heldOut.map(({ id }) => id));
  expect(early.heldOut.every(({ id }) => lateHeldOut.has(id))).toBe(true);
  expect(early.train.some(({ id }) => lateHeldOut.has(id))).toBe(false);
  expect(late.heldOut.length).toBeGreaterThan(50);
  expect(late.heldOut.length).toBeLessThan(110);
});

test("held-out pairs of raters who gave no training pair are told apart", () => {
  const split = {
    train: [pair(0, "a", ["r"])],
    heldOut: [pair(1, "b", ["r", "s"]), pair(2, "c", ["s"])],
  };
  expect(fromUnseenRaters(split).map(({ id }) => id)).toEqual(["p2"]);
});
