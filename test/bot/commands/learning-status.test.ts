import { describe, expect, test } from "vitest";
import { type LearningNow, learningStatus } from "#bot/commands/learning-status.ts";
import type { Learning } from "#bot/commands/replies.ts";
import { english } from "../support/english.ts";

const DISCORD: Learning = {
  ...{ source: "discord", trainAt: "03:00", isLearningFromDiscord: true, isConsentAssumed: true },
};
const NOW: LearningNow = { isPaused: false, isAllowedHere: true, unread: 0 };
const lines = (learning: Partial<Learning> = {}, now: Partial<LearningNow> = {}) =>
  learningStatus(english, { ...DISCORD, ...learning }, { ...NOW, ...now }).split("\n");

describe("/learning status", () => {
  test("on Discord begins with what comes of it, then names host, managers and people", () => {
    const said = lines();
    expect(said[0]).toBe(
      "**I learn from this server**, every night at 03:00, from the votes given here.",
    );
    expect(said.slice(1).map((line) => [...line][0])).toEqual(["✅", "✅", "👤", "👎"]);
    expect(said[3]).toContain("only if they have agreed");
  });

  test.each([
    [{ isLearningFromDiscord: false }, {}, ["❌", "✅"]],
    [{}, { isAllowedHere: false }, ["✅", "❌"]],
    [{ isLearningFromDiscord: false }, { isAllowedHere: false, isPaused: true }, ["❌", "❌"]],
  ] as const)(
    "says that nothing is learnt, and marks who has not allowed it (%#)",
    (learning, now, marks) => {
      const said = lines(learning, now);
      expect(said[0]).toMatch(/^\*\*I do not learn from this server\.\*\*/);
      expect(said.slice(1, 3).map((line) => [...line][0])).toEqual(marks);
    },
  );

  test("in a local Discord speaks of no switch that does not count there", () => {
    const local = { source: "playground", isLearningFromDiscord: false } as const;
    const said = lines(local, { isAllowedHere: false });
    expect(said[0]).toMatch(/^\*\*I learn from this server\*\*/);
    expect(said.join()).not.toMatch(/❌|settings/);
    expect(said[1]).toContain("unless they refuse");
    expect(lines({ ...local, isConsentAssumed: false })[1]).toContain("only if they have agreed");
  });

  test("says when it is paused, left to the host, or waiting for what was missed", () => {
    expect(lines({}, { isPaused: true })[0]).toContain("an operator has paused");
    expect(lines({ trainAt: "off" })[0]).toContain("whenever my host starts a training");
    expect(lines({}, { unread: 1 }).at(-1)).toMatch(/^⏳ One message is being read again/);
    expect(lines({}, { unread: 1_200 }).at(-1)).toContain("1,200 messages");
  });
});
