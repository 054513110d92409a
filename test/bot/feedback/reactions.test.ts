import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reactionEvent, standingReactions, voteOf } from "#bot/feedback/reactions.ts";
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
        const standing = standingReactions(events, undefined);
        expect(standing.map(({ raterKey, value }) => `${raterKey}:${value}`).toSorted()).toEqual(
          made.toSorted(),
        );
        for (const vote of standingVotes(events)) {
          expect(made).toContain(`${vote.raterKey}:${vote.value}`);
        }
      }),
    );
  });

  test("clearing one emoji concerns only those who stand with it", () => {
    const events = eventsOf([
      { rater: "mira", value: 1, action: "made" },
      { rater: "aiko", value: -1, action: "made" },
    ]);
    expect(standingReactions(events, -1)).toEqual([{ raterKey: "aiko", value: -1 }]);
  });
});

/** A place in a random order. */
function order(id: string, seed: number): number {
  return [...`${id}${seed}`].reduce((hash, one) => (hash * 31 + one.charCodeAt(0)) % 10_007, seed);
}
