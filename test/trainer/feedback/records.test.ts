import { describe, expect, test } from "vitest";
import { type FeedbackEvent, standingVotes } from "#trainer/feedback/records.ts";

let sequence = 0;
function event(
  value: number,
  atMs: number,
  action: FeedbackEvent["action"] = "made",
  kind: FeedbackEvent["kind"] = "reaction",
): FeedbackEvent {
  sequence += 1;
  return { id: `e${sequence}`, candidateId: "a", raterKey: "r", kind, value, action, atMs };
}

function values(...events: FeedbackEvent[]): number[] {
  return standingVotes(events).map(({ value }) => value);
}

describe("the standing vote", () => {
  test("is the reaction made last, of one person on one answer", () => {
    expect(values(event(1, 1), event(-1, 2))).toEqual([-1]);
  });

  test("is none once it was withdrawn", () => {
    expect(values(event(1, 1), event(1, 2, "withdrawn"))).toEqual([]);
  });

  test("falls back to the reaction that still lies there", () => {
    expect(values(event(1, 1), event(-1, 2), event(-1, 3, "withdrawn"))).toEqual([1]);
  });

  test("can be made again", () => {
    expect(values(event(1, 1), event(1, 2, "withdrawn"), event(1, 3))).toEqual([1]);
  });

  test("does not count when it was made and withdrawn at the same time", () => {
    expect(values(event(1, 1), event(1, 1, "withdrawn"))).toEqual([]);
  });

  test("of the kind rate is replaced by the next rating, and gone when that is withdrawn", () => {
    expect(values(event(2, 1, "made", "rate"), event(5, 2, "made", "rate"))).toEqual([5]);
    const withdrawn = [event(2, 1, "made", "rate"), event(5, 2, "withdrawn", "rate")];
    expect(values(...withdrawn)).toEqual([]);
  });

  test("of one kind leaves the other kind's alone", () => {
    expect(values(event(1, 1), event(2, 2, "made", "rate"))).toEqual([2, 1]);
  });
});
