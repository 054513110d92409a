import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  createRun,
  noteStage,
  runsFolder,
  tidyOldRuns,
  tidyRun,
  unfinishedRun,
} from "#trainer/nightly/run-folder.ts";

const BASE = "0".repeat(64);
const AT = Date.UTC(2026, 0, 2, 3, 4, 5);

function dataDir(): string {
  return mkdtempSync(join(tmpdir(), "runs-"));
}

test("a run is named by its time, and two at once get different names", () => {
  const dir = dataDir();
  expect(createRun(dir, BASE, AT).note.id).toBe("2026-01-02-030405");
  expect(createRun(dir, BASE, AT).note.id).toBe("2026-01-02-030406");
});

test.each([
  ["data", true],
  ["training", true],
  ["gate", true],
  ["published", false],
  ["refused", false],
  ["failed", false],
] as const)("a last run at %s is unfinished: %s", (stage, isUnfinished) => {
  const dir = dataDir();
  noteStage(createRun(dir, BASE, AT), stage);
  expect(unfinishedRun(dir)?.note.stage).toBe(isUnfinished ? stage : undefined);
});

test("a folder that died before its note, or whose note is damaged, is no run", () => {
  const dir = dataDir();
  mkdirSync(join(runsFolder(dir), "2026-01-02-030405"), { recursive: true });
  mkdirSync(join(runsFolder(dir), "2026-01-03-030405"));
  writeFileSync(join(runsFolder(dir), "2026-01-03-030405", "run.json"), "{ half");
  expect(unfinishedRun(dir)).toBeUndefined();
});

test("a run that is over keeps figures, loses words and checkpoints, and later its weights", () => {
  const dir = dataDir();
  const run = noteStage(createRun(dir, BASE, AT), "refused");
  const files = ["pairs.jsonl", "held-out.jsonl", "report.md", "adapter.gguf", "metrics.jsonl"];
  for (const file of files) writeFileSync(join(run.folder, file), "x");
  mkdirSync(join(run.folder, "checkpoints"));
  tidyRun(run);
  const kept = ["adapter.gguf", "metrics.jsonl", "report.md", "run.json"];
  expect(readdirSync(run.folder).sort()).toEqual(kept);
  tidyOldRuns(dir);
  expect(readdirSync(run.folder).sort()).toEqual(kept.slice(1));
});

test("thirty finished runs are kept, and an unfinished one whatever its age", () => {
  const dir = dataDir();
  const unfinished = createRun(dir, BASE, AT - 86_400_000);
  for (let night = 0; night < 33; night++) {
    noteStage(createRun(dir, BASE, AT + night * 86_400_000), "published");
  }
  tidyOldRuns(dir);
  expect(readdirSync(runsFolder(dir))).toHaveLength(31);
  expect(existsSync(unfinished.folder)).toBe(true);
});
