import { expect, test } from "vitest";
import type { PreferencePair } from "#trainer/data/preference.ts";
import { toTrlRow, toTrlUnpairedRow, toUltraFeedbackRow } from "#trainer/export/rows.ts";

const pair: PreferencePair = {
  id: "p",
  prompt: [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Hello" },
    { role: "user", content: "Why?" },
  ],
  chosen: "Because.",
  rejected: "No.",
  weight: 0.5,
};
const answer = (content: string) => ({ role: "assistant", content });

test("TRL's preference row has the conversation as prompt and an answer on each side, nothing else", () => {
  expect(toTrlRow(pair)).toEqual({
    prompt: pair.prompt,
    chosen: [answer("Because.")],
    rejected: [answer("No.")],
  });
});

test("TRL's unpaired row has a label", () => {
  const { id, prompt, weight } = pair;
  const rated = { id, prompt, weight, completion: "No.", isDesirable: false };
  expect(toTrlUnpairedRow(rated)).toEqual({ prompt, completion: [answer("No.")], label: false });
});

test("UltraFeedback's row has whole conversations on both sides, and the last question as prompt", () => {
  const row = toUltraFeedbackRow(pair);
  expect(Object.keys(row).sort()).toEqual([
    "chosen",
    "messages",
    "prompt",
    "prompt_id",
    "rejected",
    "score_chosen",
    "score_rejected",
  ]);
  expect(row.prompt).toBe("Why?");
  expect(row.prompt_id).toMatch(/^[0-9a-f]{64}$/);
  expect(row.chosen).toEqual([...pair.prompt, answer("Because.")]);
  expect(row.rejected).toEqual([...pair.prompt, answer("No.")]);
  expect(row.messages).toEqual(row.chosen);
  expect(row.score_chosen).toBeGreaterThan(row.score_rejected);
});
