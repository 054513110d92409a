import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { estimateTokens, fitWindow, type Turn, toChatMessages } from "#bot/conversation/window.ts";

function turn(role: Turn["role"], content: string, speaker = "Mira"): Turn {
  return {
    role,
    content,
    messageIds: [],
    exchangeId: "x",
    speakerKey: speaker.toLowerCase(),
    speakerName: speaker,
  };
}

const turns = fc.array(
  fc
    .record({ isQuestion: fc.boolean(), content: fc.string({ maxLength: 60 }) })
    .map(({ isQuestion, content }) => turn(isQuestion ? "user" : "assistant", content)),
  { maxLength: 20 },
);

describe("a conversation's window", () => {
  test("fits its budget, is the newest stretch, and begins with a question", () => {
    fc.assert(
      fc.property(turns, fc.integer({ min: -50, max: 600 }), (all, budget) => {
        const window = fitWindow(all, budget);
        const tokens = window.reduce((sum, { content }) => sum + estimateTokens(content), 0);
        expect(tokens).toBeLessThanOrEqual(Math.max(0, budget));
        expect(window).toEqual(window.length === 0 ? [] : all.slice(-window.length));
        expect(window[0]?.role ?? "user").toBe("user");
      }),
    );
  });

  test("takes all that fits: with room for everything nothing after the first question is left out", () => {
    const all = [turn("assistant", "stray"), turn("user", "q"), turn("assistant", "a")];
    expect(fitWindow(all, 1_000)).toEqual(all.slice(1));
  });

  test("an old long turn does not push out what comes after it", () => {
    const all = [turn("user", "x".repeat(900)), turn("assistant", "a"), turn("user", "q")];
    expect(fitWindow(all, 100)).toEqual([all[2]]);
  });
});

describe("turns as messages", () => {
  test("one person alone is not named", () => {
    expect(toChatMessages([turn("user", "hello"), turn("assistant", "hi")])).toEqual([
      { role: "user", content: "hello" },
      { role: "assistant", content: "hi" },
    ]);
  });

  test("of several people each question carries its speaker's name, answers carry none", () => {
    const shared = [turn("user", "hello"), turn("assistant", "hi"), turn("user", "me too", "Aiko")];
    expect(toChatMessages(shared).map(({ content }) => content)).toEqual([
      '<said by="Mira">\nhello\n</said>',
      "hi",
      '<said by="Aiko">\nme too\n</said>',
    ]);
  });
});
