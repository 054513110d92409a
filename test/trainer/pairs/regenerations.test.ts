import { describe, expect, test } from "vitest";
import type { StandingVote } from "#trainer/feedback/records.ts";
import { withRegenerations } from "#trainer/pairs/regenerations.ts";

const exchange = {
  id: "x",
  source: "playground" as const,
  guildId: null,
  channelId: "c",
  threadId: null,
  authorKey: "asker",
  messages: [],
  systemPromptSha256: "",
  createdAtMs: 0,
};
const candidate = (id: string) => ({
  id,
  exchangeId: "x",
  text: id,
  adapter: null,
  sampling: {},
  finishReason: "stop",
  createdAtMs: 0,
  deleted: false,
});
const exchanges = [
  { exchange, candidates: [candidate("first"), candidate("second")], deleted: false },
];
const said = (
  candidateId: string,
  kind: StandingVote["kind"],
  value: number,
  raterKey = "mira",
): StandingVote => ({ candidateId, raterKey, kind, value, atMs: 1 });
const regenerated = said("first", "regenerate", -1);

describe("asking for another answer", () => {
  test.each([
    ["a thumb", said("second", "reaction", 1)],
    ["a button", said("second", "vote", 1)],
    ["four stars", said("second", "rate", 4)],
  ])("counts against the first once the second is approved by %s", (_, approval) => {
    expect(withRegenerations([regenerated, approval], exchanges)).toEqual([
      said("first", "vote", -1),
      approval,
    ]);
  });

  test.each([
    ["nothing is said of the second", []],
    ["the second is disliked", [said("second", "vote", -1)]],
    ["the second gets three stars", [said("second", "rate", 3)]],
    ["somebody else approves the second", [said("second", "vote", 1, "aiko")]],
    ["the person has voted on the first", [said("second", "vote", 1), said("first", "vote", 1)]],
  ])("counts for nothing when %s", (_, votes) => {
    expect(withRegenerations([regenerated, ...votes], exchanges)).toEqual(votes);
  });
});
