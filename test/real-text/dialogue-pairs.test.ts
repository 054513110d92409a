import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { foldsOf, readDialoguePairs, splitDialogues } from "./dialogue-pairs.ts";

const folder = mkdtempSync(join(tmpdir(), "dialogues-"));
const dialogue = (...turns: readonly string[]) =>
  turns.map((turn, i) => `\n\n${i % 2 === 0 ? "Human" : "Assistant"}: ${turn}`).join("");

function fileOf(lines: readonly object[]): string {
  const path = join(folder, "pairs.jsonl.gz");
  writeFileSync(path, gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join("")));
  return path;
}

test("the turns that both dialogues share are the prompt, the last answers the pair", () => {
  const path = fileOf([
    {
      chosen: dialogue("a?", "b\n\nc", "d?", "good"),
      rejected: dialogue("a?", "b\n\nc", "d?", "bad"),
    },
    { chosen: dialogue("a?", "x"), rejected: dialogue("other?", "y") },
    { chosen: dialogue("a?", "same"), rejected: dialogue("a?", "same") },
  ]);
  expect(readDialoguePairs(path)).toEqual({
    unusable: 2,
    pairs: [
      {
        id: "pair 0",
        prompt: [
          { role: "user", content: "a?" },
          { role: "assistant", content: "b\n\nc" },
          { role: "user", content: "d?" },
        ],
        chosen: "good",
        rejected: "bad",
        weight: 1,
      },
    ],
  });
});

test("conversations that begin alike lie on one side, and every pair lies on one", () => {
  const lines = Array.from({ length: 300 }, (_, i) => ({
    chosen: dialogue(`Question ${i % 150}?`, `yes ${i}`),
    rejected: dialogue(`Question ${i % 150}?`, `no ${i}`),
  }));
  const { pairs } = readDialoguePairs(fileOf(lines));
  const openingsOf = (side: typeof pairs) => new Set(side.map(({ prompt }) => prompt[0]?.content));
  const { learn, judge } = splitDialogues(pairs);
  expect(learn.length + judge.length).toBe(300);
  expect(openingsOf(learn).size + openingsOf(judge).size).toBe(150);
  expect(judge.length).toBeGreaterThan(70);
  expect(judge.length).toBeLessThan(130);
  const folds = foldsOf(learn, 2);
  expect(folds.flatMap(({ leftOut }) => leftOut.map(({ id }) => id)).sort()).toEqual(
    learn.map(({ id }) => id).sort(),
  );
  for (const fold of folds) {
    expect(fold.leftOut.length).toBeGreaterThan(learn.length / 3);
    expect(openingsOf(fold.learn).size + openingsOf(fold.leftOut).size).toBe(
      openingsOf(learn).size,
    );
  }
});
