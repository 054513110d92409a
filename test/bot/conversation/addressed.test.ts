import { describe, expect, test } from "vitest";
import { isAddressed, type MessageFacts, SeenIds } from "#bot/conversation/addressed.ts";

const chatter: MessageFacts = {
  isByPerson: true,
  isOrdinary: true,
  isDirect: false,
  mentionsBot: false,
  repliesToBot: false,
  isInJoinedThread: false,
  hasText: true,
};

describe("a message is answered", () => {
  test.each([
    ["that mentions the bot", { mentionsBot: true }],
    ["that mentions it without text", { mentionsBot: true, hasText: false }],
    ["that is direct", { isDirect: true }],
    ["that replies to it", { repliesToBot: true }],
    ["in a thread that it takes part in", { isInJoinedThread: true }],
  ])("%s", (_, change) => expect(isAddressed({ ...chatter, ...change })).toBe(true));
});

describe("a message is left alone", () => {
  test.each([
    ["of people among themselves", {}],
    ["of another bot", { mentionsBot: true, isByPerson: false }],
    ["of the system", { isDirect: true, isOrdinary: false }],
    ["in its thread whose text it may not read", { isInJoinedThread: true, hasText: false }],
  ])("%s", (_, change) => expect(isAddressed({ ...chatter, ...change })).toBe(false));
});

test("an id is new once, and the oldest are let go", () => {
  const seen = new SeenIds(2);
  expect([seen.isNew("a"), seen.isNew("a"), seen.isNew("b"), seen.isNew("c")]).toEqual([
    true,
    false,
    true,
    true,
  ]);
  expect(seen.isNew("a")).toBe(true);
});
