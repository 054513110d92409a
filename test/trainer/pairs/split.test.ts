import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EvidencedPair } from "#trainer/pairs/pair.ts";
import {
  fromUnseenRaters,
  HELD_OUT_MIN_PAIRS,
  ratersOf,
  type Split,
  splitPairs,
} from "#trainer/pairs/split.ts";
import { evidencedPair } from "./evidenced-pair.ts";

const unseenOf = ({ train, heldOut }: Split) => fromUnseenRaters(heldOut, ratersOf(train));

const pairs = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 30 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 100 }),
    ),
    { minLength: 1, maxLength: 80 },
  )
  .map((list) =>
    list.map(([prompt, raters, at], index) =>
      evidencedPair(
        index,
        `prompt ${prompt}`,
        raters.map((rater) => `rater ${rater}`),
        at,
      ),
    ),
  );

/** A community: everybody asks and rates their own questions, one a day. */
function community(people: number, days: number): EvidencedPair[] {
  return Array.from({ length: people * days }, (_, i) =>
    evidencedPair(i, `prompt ${i}`, [`rater ${i % people}`]),
  );
}

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

test("the order in which pairs come does not matter", () => {
  const ids = (list: readonly EvidencedPair[]) => list.map(({ id }) => id).sort();
  fc.assert(
    fc.property(pairs, (given) => {
      const [one, other] = [splitPairs(given), splitPairs(given.toReversed())];
      expect(ids(other.heldOut)).toEqual(ids(one.heldOut));
    }),
  );
});

describe("in a community of forty", () => {
  const given = community(40, 10);
  const split = splitPairs(given);

  test("a fifth is held out", () => {
    expect(split.heldOut).toHaveLength(80);
  });

  test("some people are wholly on the held-out side", () => {
    const people = (list: readonly EvidencedPair[]) =>
      new Set(list.flatMap(({ evidence }) => evidence.raterKeys));
    const trained = people(split.train);
    const unseen = [...people(split.heldOut)].filter((rater) => !trained.has(rater));
    expect(unseen.length).toBeGreaterThanOrEqual(2);
    expect(unseenOf(split)).toHaveLength(10 * unseen.length);
  });

  test("the newest votes are held out: nothing is trained on that was voted on later than these", () => {
    const unseen = new Set(unseenOf(split));
    const byTime = split.heldOut.filter((one) => !unseen.has(one));
    const oldest = Math.min(...byTime.map(({ votedAtMs }) => votedAtMs));
    expect(byTime.length).toBeGreaterThanOrEqual(40);
    expect(Math.max(...split.train.map(({ votedAtMs }) => votedAtMs))).toBeLessThan(oldest);
  });

  test("the same people are held out a month later, and what was learnt is not judged by", () => {
    const later = splitPairs(community(40, 40));
    const laterHeldOut = new Set(later.heldOut.map(({ id }) => id));
    expect(split.train.filter(({ id }) => laterHeldOut.has(id))).toEqual([]);
    const stillUnseen = new Set(unseenOf(later).map(({ id }) => id));
    expect(unseenOf(split).filter(({ id }) => !stillUnseen.has(id))).toEqual([]);
  });
});

test("another vote on an old prompt does not make it new", () => {
  const given = community(1, 40);
  const revoted = [...given, evidencedPair(99, "prompt 3", ["rater 0"], 99)];
  const trained = splitPairs(revoted).train.map(({ promptKey }) => promptKey);
  expect(trained.filter((key) => key === "prompt 3")).toHaveLength(2);
});

test("somebody who decides much is not held out, even alone", () => {
  for (const rater of ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]) {
    const given = Array.from({ length: 50 }, (_, i) => evidencedPair(i, `prompt ${i}`, [rater]));
    const { train, heldOut } = splitPairs(given);
    expect(heldOut.map(({ votedAtMs }) => votedAtMs)).toEqual([
      40, 41, 42, 43, 44, 45, 46, 47, 48, 49,
    ]);
    expect(train).toHaveLength(40);
  }
});

test("held-out pairs of raters who gave no training pair are told apart", () => {
  const split = {
    train: [evidencedPair(0, "a", ["r"])],
    heldOut: [evidencedPair(1, "b", ["r", "s"]), evidencedPair(2, "c", ["s"])],
  };
  expect(unseenOf(split).map(({ id }) => id)).toEqual(["p2"]);
});
