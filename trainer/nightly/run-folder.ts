/**
 * A training run's folder, `<DATA_DIR>/runs/<id>/`, and the note in it that says how far the run came,
 * so that one killed in the middle is found and taken up again. It knows nothing of training.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, writeFileAtomic } from "#engine/base/atomic-file.ts";

const noteSchema = z.object({
  id: z.string().regex(/^[0-9-]{1,64}$/),
  startedAtMs: z.number(),
  /** Where to take it up: `data` begins anew, `training` at its checkpoint, `gate` with the adapter. */
  stage: z.enum(["data", "training", "gate", "published", "refused", "failed"]),
  /** Hash of the base model's file; a run on another base cannot be taken up. */
  baseSha256: z.string(),
  /** The adapter of the registry that is judged, where none is trained. */
  judges: z.string().optional(),
  /** The adapter that the training goes on from; its file is in the folder. */
  startsFrom: z.object({ name: z.string(), sha256: z.string() }).optional(),
  /** What came of it, for people. */
  outcome: z.string().optional(),
});

/** The note in a run's folder. */
export type RunNote = z.infer<typeof noteSchema>;

/** A run's folder and its note. */
export type Run = { readonly folder: string; readonly note: RunNote };

const NOTE = "run.json";
/** What a run leaves for good: its outcome, its figures, and what it learnt from by id, not by text. */
const KEPT_FILES: readonly string[] = [
  NOTE,
  "metrics.jsonl",
  "metrics.svg",
  "report.json",
  "report.md",
  "dataset.json",
  "evidence.jsonl",
];
/** Until the next run begins, for whoever wants to know why it was refused. */
const KEPT_UNTIL_NEXT: readonly string[] = [...KEPT_FILES, "adapter.gguf"];
const RUNS_KEPT = 30;

/** Where the runs of a data folder lie. */
export function runsFolder(dataDir: string): string {
  return join(dataDir, "runs");
}

/** Makes a new run's folder; its id is the time, which also names the adapter. @throws CodedError `disk_full`, `not_writable` */
export function createRun(dataDir: string, baseSha256: string, nowMs: number): Run {
  const id = freeId(dataDir, nowMs);
  const folder = join(runsFolder(dataDir), id);
  makeFolder(folder);
  return noteStage({ folder, note: { id, startedAtMs: nowMs, stage: "data", baseSha256 } }, "data");
}

/** Writes down that a run has come to `stage`. @throws CodedError `disk_full` */
export function noteStage(run: Run, stage: RunNote["stage"], outcome?: string): Run {
  const note = { ...run.note, stage, ...(outcome === undefined ? {} : { outcome }) };
  writeFileAtomic(join(run.folder, NOTE), `${JSON.stringify(note, null, 2)}\n`);
  return { folder: run.folder, note };
}

/** Whether a run has come to its end, good or bad. */
function isOver({ note }: Run): boolean {
  return note.stage === "published" || note.stage === "refused" || note.stage === "failed";
}

/**
 * Removes what a run that is over no longer needs: checkpoints, and people's words, which must not
 * outlive their deletion here.
 */
export function tidyRun({ folder }: Run): void {
  removeAllBut(folder, KEPT_UNTIL_NEXT);
}

/** Removes the weights of runs that are over, and all but the newest thirty of them. */
export function tidyOldRuns(dataDir: string): void {
  const over = listRuns(dataDir).filter(isOver);
  for (const { folder, note } of over.slice(0, -RUNS_KEPT)) {
    // What an adapter learned from must be known for as long as it can serve.
    if (existsSync(join(dataDir, "adapters", note.id))) removeAllBut(folder, KEPT_FILES);
    else rmSync(folder, { recursive: true });
  }
  for (const { folder } of over.slice(-RUNS_KEPT)) removeAllBut(folder, KEPT_FILES);
}

/** Every run whose note can be read, oldest first. */
function listRuns(dataDir: string): readonly Run[] {
  const root = runsFolder(dataDir);
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .sort()
    .flatMap((name) => readRun(join(root, name)) ?? []);
}

/** The run that was cut short, if the last one was. */
export function unfinishedRun(dataDir: string): Run | undefined {
  const last = listRuns(dataDir).at(-1);
  return last === undefined || isOver(last) ? undefined : last;
}

function readRun(folder: string): Run | undefined {
  try {
    const note = noteSchema.parse(JSON.parse(readFileSync(join(folder, NOTE), "utf8")));
    return { folder, note };
  } catch {
    // A folder without a sound note is no run of ours, or died before its first note.
    return undefined;
  }
}

function removeAllBut(folder: string, kept: readonly string[]): void {
  for (const name of readdirSync(folder)) {
    if (!kept.includes(name)) rmSync(join(folder, name), { recursive: true });
  }
}

/** `2026-11-23-030000` in UTC, a second later for each that is taken. */
function freeId(dataDir: string, nowMs: number): string {
  for (let ms = nowMs; ; ms += 1_000) {
    const id = new Date(ms).toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
    if (!existsSync(join(runsFolder(dataDir), id))) return id;
  }
}
