/**
 * The night's data set: from the feedback log to pairs on two sides, with a manifest that says what
 * went in, what did not and why. It knows nothing of training.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeChunksAtomic, writeFileAtomic } from "#engine/base/atomic-file.ts";
import { linesOf } from "../data/lines.ts";
import { type Feedback, ratedPrompts } from "./answers.ts";
import { capRaters, type RaterCap } from "./caps.ts";
import { compareAnswers } from "./compare.ts";
import { compareWithFresh, type FreshAnswers } from "./fresh.ts";
import { dropsBeside, type LoneAnswer, loneAnswers } from "./lone.ts";
import { DROP_REASONS, type Drop, type DropReason, type EvidencedPair, sha256 } from "./pair.ts";
import { type Screen, screenLone, screenPairs } from "./screen.ts";
import {
  hashRows,
  type RowSeal,
  sealedRows,
  verifySealedRows,
  writeSealedRows,
} from "./sealed-rows.ts";
import { beside, fromUnseenRaters, ratersOf, type Split, splitPairs } from "./split.ts";

/** What the building of a data set needs besides the log. */
export type DatasetOptions = {
  readonly fresh: FreshAnswers;
  readonly screen: Screen;
  readonly cap: RaterCap;
  /** Whether single answers are taken, too, which only KTO can learn from. */
  readonly takesLone: boolean;
  /** The name under which what has this id is stored: ids are hashes of words, by which a guess could be confirmed. */
  readonly nameOf: (id: string) => string;
};

/** Pairs on two sides and what became of the rest. */
export type Dataset = Split & {
  /** Answers to learn from that stand in no pair. */
  readonly lone: readonly LoneAnswer[];
  readonly drops: readonly Drop[];
  /** Rated answers that were not looked at, counted by the reason. */
  readonly left: Readonly<Record<string, number>>;
};

const evidenceSchema = z.object({
  candidateIds: z.array(z.string()),
  exchangeIds: z.array(z.string()),
  raterKeys: z.array(z.string()),
});
const evidencedSchema = z.object({
  id: z.string(),
  prompt: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })),
  promptKey: z.string(),
  weight: z.number(),
  personKeys: z.array(z.string()),
  evidence: evidenceSchema,
  atMs: z.number(),
});
const pairSchema = evidencedSchema.extend({
  chosen: z.string(),
  rejected: z.string(),
  origin: z.enum(["feedback", "judged", "plain"]),
  votedAtMs: z.number(),
});
const loneSchema = evidencedSchema.extend({ completion: z.string(), isDesirable: z.boolean() });

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const manifestSchema = z.object({
  trainPairs: z.number(),
  heldOutPairs: z.number(),
  heldOutPairsOfUnseenRaters: z.number(),
  loneAnswers: z.number().default(0),
  raters: z.number(),
  origins: z.record(z.string(), z.number()),
  dropped: z.record(z.string(), z.number()),
  /** When the oldest and the newest answer in it were given; 0 when there is none. */
  fromMs: z.number(),
  toMs: z.number(),
  /** Hashes of the two files of pairs. */
  trainSha256: hash,
  heldOutSha256: hash,
  loneSha256: hash.default(sha256("")),
});

/** Counts, window and hashes of a data set. */
export type DatasetManifest = z.infer<typeof manifestSchema>;

/** A data set as it lies in a run's folder; `manifestSha256` goes into the adapter's manifest. */
export type StoredDataset = {
  /** Read one at a time, each time anew, so that there may be more than memory holds. */
  readonly train: Iterable<EvidencedPair>;
  readonly heldOut: readonly EvidencedPair[];
  /** Held-out pairs all of whose raters are unknown to the training side. */
  readonly unseen: readonly EvidencedPair[];
  readonly lone: readonly LoneAnswer[];
  /** What all of it rests on, likewise one at a time. */
  readonly evidence: Iterable<EvidencedPair["evidence"]>;
  readonly manifest: DatasetManifest;
  readonly manifestSha256: string;
};

const TRAIN_FILE = "pairs.jsonl";
const HELD_OUT_FILE = "held-out.jsonl";
const LONE_FILE = "lone.jsonl";
const MANIFEST_FILE = "dataset.json";
/** The pairs by id and evidence, without people's words: it may stay when the words may not. */
const EVIDENCE_FILE = "evidence.jsonl";

/**
 * Builds the data set: people's comparisons, then fresh answers, then caps, then the safety screen; and what
 * stands alone by the same caps and screen.
 */
export async function buildDataset(feedback: Feedback, options: DatasetOptions): Promise<Dataset> {
  const rated = ratedPrompts(feedback);
  const compared = compareAnswers(rated.prompts);
  const fresh = await compareWithFresh(compared.disliked, options.fresh);
  const all = [...compared.pairs, ...fresh.pairs];
  const capped = capRaters(all, options.cap);
  const screened = await screenPairs(capped.pairs, options.screen);
  const split = splitPairs(screened.pairs);
  const single = options.takesLone
    ? await singleAnswers(loneAnswers(rated.prompts, all), split, options)
    : { lone: [], drops: [] };
  const unpaired = [rated, compared, fresh].flatMap((step) => step.drops);
  const drops = [...dropsBeside(unpaired, single.lone), ...capped.drops, ...screened.drops];
  const named = <T extends { readonly id: string }>(items: readonly T[]): T[] =>
    items.map((item) => ({ ...item, id: options.nameOf(item.id) }));
  return {
    train: named(split.train),
    heldOut: named(split.heldOut),
    lone: named(single.lone),
    drops: [...drops, ...single.drops],
    left: feedback.left ?? {},
  };
}

async function singleAnswers(
  found: readonly LoneAnswer[],
  split: Split,
  options: DatasetOptions,
): Promise<{ lone: LoneAnswer[]; drops: Drop[] }> {
  const capped = capRaters(beside(found, split), options.cap);
  const screened = await screenLone(capped.pairs, options.screen);
  return { lone: screened.lone, drops: [...capped.drops, ...screened.drops] };
}

/** How many were dropped for each reason. @param left counted already */
export function countDrops(
  drops: readonly Drop[],
  left: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const counts = new Map(Object.entries(left));
  for (const { reason } of drops) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** How many were dropped for each reason, most first, as a sentence for people. */
export function describeDrops(dropped: Readonly<Record<string, number>>): string {
  const entries = Object.entries(dropped).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return "Nothing was dropped";
  const parts = entries.map(([reason, count]) => `${count} × ${explain(reason)}`);
  return `Dropped: ${parts.join("; ")}`;
}

/**
 * Writes a data set into a run's folder, people's words sealed, the manifest last.
 * @throws CodedError `disk_full`, `database_failed`
 */
export function storeDataset(folder: string, dataset: Dataset, seal: RowSeal): StoredDataset {
  const { train, heldOut, lone } = dataset;
  writeSealedRows(join(folder, TRAIN_FILE), train, seal);
  writeSealedRows(join(folder, HELD_OUT_FILE), heldOut, seal);
  writeSealedRows(join(folder, LONE_FILE), lone, seal);
  writeChunksAtomic(join(folder, EVIDENCE_FILE), evidenceLines(dataset));
  const manifest = `${JSON.stringify(describeDataset(dataset), null, 2)}\n`;
  writeFileAtomic(join(folder, MANIFEST_FILE), manifest);
  return readDataset(folder, seal);
}

/**
 * Reads a data set back from a run's folder.
 * @throws CodedError `checkpoint_corrupt` when the files are not what the manifest says, `erased_meanwhile`
 *   when they cannot be opened any more
 */
export function readDataset(folder: string, seal: RowSeal): StoredDataset {
  const text = readFileSync(join(folder, MANIFEST_FILE), "utf8");
  const manifest = manifestSchema.parse(JSON.parse(text));
  const verified = <T>(name: string, sha256Expected: string, schema: z.ZodType<T>): Iterable<T> => {
    const path = join(folder, name);
    verifySealedRows(path, sha256Expected, seal);
    return sealedRows(path, schema, seal);
  };
  const heldOut = [...verified(HELD_OUT_FILE, manifest.heldOutSha256, pairSchema)];
  const evidence = evidenceOf(folder);
  return {
    train: verified(TRAIN_FILE, manifest.trainSha256, pairSchema),
    heldOut,
    unseen: fromUnseenRaters(heldOut, teachersIn(folder)),
    lone: [...verified(LONE_FILE, manifest.loneSha256, loneSchema)],
    evidence,
    manifest,
    manifestSha256: sha256(text),
  };
}

/** Counts, window and hashes. */
export function describeDataset(dataset: Dataset): DatasetManifest {
  const pairs = [...dataset.train, ...dataset.heldOut];
  const all = [...pairs, ...dataset.lone];
  const times = all.map(({ atMs }) => atMs);
  return {
    trainPairs: dataset.train.length,
    heldOutPairs: dataset.heldOut.length,
    heldOutPairsOfUnseenRaters: fromUnseenRaters(dataset.heldOut, ratersOf(dataset.train)).length,
    loneAnswers: dataset.lone.length,
    raters: new Set(all.flatMap(({ evidence }) => evidence.raterKeys)).size,
    origins: countBy(pairs.map(({ origin }) => origin)),
    dropped: countDrops(dataset.drops, dataset.left),
    fromMs: times.reduce((a, b) => Math.min(a, b), times[0] ?? 0),
    toMs: times.reduce((a, b) => Math.max(a, b), 0),
    trainSha256: hashRows(dataset.train),
    heldOutSha256: hashRows(dataset.heldOut),
    loneSha256: hashRows(dataset.lone),
  };
}

/** A line of what the pairs rest on. */
const evidenceLine = evidenceSchema.extend({ side: z.enum(["train", "held-out"]) });

function evidenceOf(folder: string): Iterable<z.infer<typeof evidenceLine>> {
  return {
    *[Symbol.iterator]() {
      for (const line of linesOf(join(folder, EVIDENCE_FILE))) {
        if (line !== "") yield evidenceLine.parse(JSON.parse(line));
      }
    },
  };
}

/** Who decided what is trained on; only people, however many pairs there are. */
function teachersIn(folder: string): ReadonlySet<string> {
  const teachers = new Set<string>();
  for (const { side, raterKeys } of evidenceOf(folder)) {
    if (side === "train") for (const rater of raterKeys) teachers.add(rater);
  }
  return teachers;
}

function* evidenceLines({ train, heldOut, lone }: Dataset): Generator<Uint8Array> {
  const line = (
    side: string,
    origin: string,
    { id, weight, evidence }: EvidencedPair | LoneAnswer,
  ) => Buffer.from(`${JSON.stringify({ id, side, origin, weight, ...evidence })}\n`);
  for (const pair of train) yield line("train", pair.origin, pair);
  for (const pair of heldOut) yield line("held-out", pair.origin, pair);
  for (const answer of lone) yield line("train", "lone", answer);
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return Object.fromEntries(counts);
}

function explain(reason: string): string {
  return isDropReason(reason) ? DROP_REASONS[reason] : reason;
}

function isDropReason(reason: string): reason is DropReason {
  return Object.hasOwn(DROP_REASONS, reason);
}
