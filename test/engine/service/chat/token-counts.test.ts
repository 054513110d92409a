import { describe, expect, test } from "vitest";
import { countTokens } from "#engine/service/chat/token-counts.ts";

const backend = {
  countTokens: (messages: readonly { readonly content: string }[]) =>
    messages.reduce((sum, { content }) => sum + content.length, 0),
};
const say = (content: string) => ({ role: "user", content });

describe("counting tokens", () => {
  test("gives each conversation's count, in order", () => {
    const conversations = [[say("four"), say("five5")], [say("x")]];
    expect(countTokens(backend, { conversations })).toEqual({ object: "list", counts: [9, 1] });
  });

  test.each([
    [{}],
    [{ conversations: [] }],
    [{ conversations: [[]] }],
    [{ conversations: [[{ role: "owl", content: "x" }]] }],
    [{ conversations: Array.from({ length: 257 }, () => [say("x")]) }],
    ["text"],
  ])("refuses %j, and says what it expected", (body) => {
    expect(() => countTokens(backend, body)).toThrow(/expected/);
  });
});
