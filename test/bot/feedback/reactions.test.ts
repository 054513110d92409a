import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  clearedReactions,
  missedReactions,
  reactionEvent,
  voteOf,
} from "#bot/feedback/reactions.ts";
import { standingVotes } from "#trainer/feedback/records.ts";

type Act = {
  readonly rater: string;
  readonly value: 1 | -1;
  readonly action: "made" | "withdrawn";
};

const act: fc.Arbitrary<Act> = fc.record({
  rater: fc.constantFrom("mira", "aiko"),
  value: fc.constantFrom(1, -1),
  action: fc.constantFrom("made", "withdrawn"),
});

/** The events of acts done one after another. */
function eventsOf(acts: readonly Act[]) {
  return acts.map(({ rater, value, action }, index) => {
    const change = { messageId: "m", candidateId: "c", raterKey: rater, value, action };
    return reactionEvent({ ...change, stamp: { id: `s.${index}`, atMs: index } });
  });
}

describe("votes by emoji", () => {
  test("skin tones and picture selectors are folded; other emoji are no votes", () => {
    for (const emoji of ["👍", "👍🏻", "👍🏿", "👍\ufe0f"]) expect(voteOf(emoji)).toBe(1);
    expect(voteOf("👎🏽")).toBe(-1);
    for (const emoji of ["🎉", "thumbsup", "", null, "👍👍"]) expect(voteOf(emoji)).toBeUndefined();
  });
});

describe("events of reactions", () => {
  test("have ids of their own, the same for each delivery", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
        const ids = eventsOf(acts).map(({ id }) => id);
        expect(eventsOf(acts).map(({ id }) => id)).toEqual(ids);
        expect(new Set(ids).size).toBe(ids.length);
      }),
    );
  });

  test("let stand what each person did last, in whatever order they are read", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), fc.nat(), (acts, seed) => {
        const events = eventsOf(acts).toSorted((a, b) => order(a.id, seed) - order(b.id, seed));
        const last = new Map(acts.map((one) => [`${one.rater}:${one.value}`, one.action]));
        const made = [...last].filter(([, action]) => action === "made").map(([key]) => key);
        const standing = standingVotes(events);
        for (const vote of standing) expect(made).toContain(`${vote.raterKey}:${vote.value}`);
        const raters = new Set(made.map((key) => key.split(":")[0]));
        expect(new Set(standing.map(({ raterKey }) => raterKey))).toEqual(raters);
      }),
    );
  });

  test("clearing one emoji concerns those who used it on this message before", () => {
    const events = eventsOf([
      { rater: "mira", value: 1, action: "made" },
      { rater: "aiko", value: -1, action: "made" },
      { rater: "aiko", value: -1, action: "withdrawn" },
      { rater: "late", value: -1, action: "made" },
    ]);
    const clearing = { stamp: { id: "s.9", atMs: 3 }, value: -1 } as const;
    expect(clearedReactions(events, "m", clearing)).toEqual([{ raterKey: "aiko", value: -1 }]);
    expect(clearedReactions(events, "another", clearing)).toEqual([]);
  });
});

test("after what was missed is added, those stand who stand on Discord; if not all were read, nobody is taken back", () => {
  const raters = fc.constantFrom("mira", "aiko", "noor");
  fc.assert(
    fc.property(fc.array(act), fc.uniqueArray(raters), fc.boolean(), (acts, present, isWhole) => {
      const past = eventsOf(acts);
      const raterKeys = new Set(present);
      const missed = missedReactions(past, "m", { value: 1, raterKeys, isWhole });
      const stamp = { id: "read", atMs: acts.length };
      const added = missed.map((one) =>
        reactionEvent({ messageId: "m", candidateId: "c", stamp, ...one }),
      );
      const standing = (events: typeof past) =>
        standingVotes(events.filter(({ value }) => value === 1)).map(({ raterKey }) => raterKey);
      const expected = isWhole ? present : [...new Set([...present, ...standing(past)])];
      expect(standing([...past, ...added])).toEqual(expected.toSorted());
    }),
  );
});

/** A place in a random order. */
function order(id: string, seed: number): number {
  return [...`${id}${seed}`].reduce((hash, one) => (hash * 31 + one.charCodeAt(0)) % 10_007, seed);
}
