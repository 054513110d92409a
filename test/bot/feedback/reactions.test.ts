import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reactionEvent, standingReactions, voteOf } from "#bot/feedback/reactions.ts";
import { type FeedbackEvent, standingVotes } from "#trainer/feedback/records.ts";

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

/** Records acts one after another, as the log would; `clock` gives each its time. */
function replay(acts: readonly Act[], clock: (index: number) => number): FeedbackEvent[] {
  const past: FeedbackEvent[] = [];
  for (const [index, { rater, value, action }] of acts.entries()) {
    const change = { messageId: "m", candidateId: "c", raterKey: rater, value, action };
    const event = reactionEvent({ ...change, atMs: clock(index) }, past);
    if (event !== undefined) past.push(event);
  }
  return past;
}

describe("votes by emoji", () => {
  test("skin tones and picture selectors are folded; other emoji are no votes", () => {
    for (const emoji of ["👍", "👍🏻", "👍🏿", "👍\ufe0f"]) expect(voteOf(emoji)).toBe(1);
    expect(voteOf("👎🏽")).toBe(-1);
    for (const emoji of ["🎉", "thumbsup", "", null, "👍👍"]) expect(voteOf(emoji)).toBeUndefined();
  });
});

describe("events of reactions", () => {
  test("ids are unique, and a change that is delivered again adds nothing", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
        const doubled = acts.flatMap((one) => [one, one]);
        const events = replay(doubled, (index) => index);
        expect(events.map(({ id }) => id)).toEqual(
          replay(acts, (index) => index).map(({ id }) => id),
        );
        expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
      }),
    );
  });

  test("what stands is what each person did last, even when the clock stands still or goes back", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), fc.constantFrom(0, -5), (acts, step) => {
        const events = replay(acts, (index) => 1_000 + index * step);
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
    const events = replay(
      [
        { rater: "mira", value: 1, action: "made" },
        { rater: "aiko", value: -1, action: "made" },
      ],
      (index) => index,
    );
    expect(standingReactions(events, -1)).toEqual([{ raterKey: "aiko", value: -1 }]);
  });
});
