/**
 * The night's data set: from the feedback log to pairs on two sides, with a manifest that says what
 * went in, what did not and why. It knows nothing of training.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { CodedError } from "#engine/base/errors.ts";
import { type Feedback, ratedPrompts } from "./answers.ts";
import { capRaters, type RaterCap } from "./caps.ts";
import { compareAnswers } from "./compare.ts";
import { compareWithFresh, type FreshAnswers } from "./fresh.ts";
import { DROP_REASONS, type Drop, type DropReason, type EvidencedPair, sha256 } from "./pair.ts";
import { type Screen, screenPairs } from "./screen.ts";
import { fromUnseenRaters, type Split, splitPairs } from "./split.ts";

/** What the building of a data set needs besides the log. */
export type DatasetOptions = {
  readonly fresh: FreshAnswers;
  readonly screen: Screen;
  readonly cap: RaterCap;
};

/** Pairs on two sides and what became of the rest. */
export type Dataset = Split & { readonly drops: readonly Drop[] };

const pairSchema = z.object({
  id: z.string(),
  prompt: z.array(z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() })),
  promptKey: z.string(),
  chosen: z.string(),
  rejected: z.string(),
  weight: z.number(),
  origin: z.enum(["feedback", "judged"]),
  evidence: z.object({
    candidateIds: z.array(z.string()),
    exchangeIds: z.array(z.string()),
    raterKeys: z.array(z.string()),
  }),
  atMs: z.number(),
});

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const manifestSchema = z.object({
  trainPairs: z.number(),
  heldOutPairs: z.number(),
  heldOutPairsOfUnseenRaters: z.number(),
  raters: z.number(),
  origins: z.record(z.string(), z.number()),
  dropped: z.record(z.string(), z.number()),
  /** When the oldest and the newest answer in it were given; 0 when there is none. */
  fromMs: z.number(),
  toMs: z.number(),
  /** Hashes of the two files of pairs. */
  trainSha256: hash,
  heldOutSha256: hash,
});

/** Counts, window and hashes of a data set. */
export type DatasetManifest = z.infer<typeof manifestSchema>;

/** A data set as it lies in a run's folder; `manifestSha256` goes into the adapter's manifest. */
export type StoredDataset = Split & {
  readonly manifest: DatasetManifest;
  readonly manifestSha256: string;
};

const TRAIN_FILE = "pairs.jsonl";
const HELD_OUT_FILE = "held-out.jsonl";
const MANIFEST_FILE = "dataset.json";
/** The pairs by id and evidence, without people's words: it may stay when the words may not. */
const EVIDENCE_FILE = "evidence.jsonl";

/** Builds the data set: people's comparisons, then fresh answers, then caps, then the safety screen. */
export async function buildDataset(feedback: Feedback, options: DatasetOptions): Promise<Dataset> {
  const rated = ratedPrompts(feedback);
  const compared = compareAnswers(rated.prompts);
  const fresh = await compareWithFresh(compared.disliked, options.fresh);
  const capped = capRaters([...compared.pairs, ...fresh.pairs], options.cap);
  const screened = await screenPairs(capped.pairs, options.screen);
  const drops = [rated, compared, fresh, capped, screened].flatMap((step) => step.drops);
  return { ...splitPairs(screened.pairs), drops };
}

/** How many were dropped for each reason, most first, as a sentence for people. */
export function describeDrops(dropped: Readonly<Record<string, number>>): string {
  const entries = Object.entries(dropped).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return "Nothing was dropped";
  const parts = entries.map(([reason, count]) => `${count} × ${explain(reason)}`);
  return `Dropped: ${parts.join("; ")}`;
}

/**
 * Writes a data set into a run's folder, the manifest last.
 * @throws CodedError `disk_full`
 */
export function storeDataset(folder: string, dataset: Dataset): StoredDataset {
  const { train, heldOut } = dataset;
  const manifest = describeDataset(dataset);
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileAtomic(join(folder, TRAIN_FILE), toJsonLines(train));
  writeFileAtomic(join(folder, HELD_OUT_FILE), toJsonLines(heldOut));
  writeFileAtomic(join(folder, EVIDENCE_FILE), evidenceLines(dataset));
  writeFileAtomic(join(folder, MANIFEST_FILE), text);
  return { train, heldOut, manifest, manifestSha256: sha256(text) };
}

/**
 * Reads a data set back from a run's folder.
 * @throws CodedError `checkpoint_corrupt` when the files are not what the manifest says
 */
export function readDataset(folder: string): StoredDataset {
  const text = readFileSync(join(folder, MANIFEST_FILE), "utf8");
  const manifest = manifestSchema.parse(JSON.parse(text));
  return {
    train: readPairs(join(folder, TRAIN_FILE), manifest.trainSha256),
    heldOut: readPairs(join(folder, HELD_OUT_FILE), manifest.heldOutSha256),
    manifest,
    manifestSha256: sha256(text),
  };
}

/** Counts, window and hashes. */
export function describeDataset(dataset: Dataset): DatasetManifest {
  const pairs = [...dataset.train, ...dataset.heldOut];
  const times = pairs.map(({ atMs }) => atMs);
  return {
    trainPairs: dataset.train.length,
    heldOutPairs: dataset.heldOut.length,
    heldOutPairsOfUnseenRaters: fromUnseenRaters(dataset).length,
    raters: new Set(pairs.flatMap(({ evidence }) => evidence.raterKeys)).size,
    origins: countBy(pairs.map(({ origin }) => origin)),
    dropped: countBy(dataset.drops.map(({ reason }) => reason)),
    fromMs: times.reduce((a, b) => Math.min(a, b), times[0] ?? 0),
    toMs: times.reduce((a, b) => Math.max(a, b), 0),
    trainSha256: sha256(toJsonLines(dataset.train)),
    heldOutSha256: sha256(toJsonLines(dataset.heldOut)),
  };
}

function readPairs(path: string, expectedSha256: string): EvidencedPair[] {
  const text = readFileSync(path, "utf8");
  if (sha256(text) !== expectedSha256) {
    throw new CodedError(
      `Expected ${path} to have sha256 ${expectedSha256.slice(0, 12)}…, it has ${sha256(text).slice(0, 12)}…. Remove the run's folder and train again.`,
      { code: "checkpoint_corrupt" },
    );
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => pairSchema.parse(JSON.parse(line)));
}

function toJsonLines(pairs: readonly EvidencedPair[]): string {
  return pairs.map((pair) => `${JSON.stringify(pair)}\n`).join("");
}

function evidenceLines({ train, heldOut }: Split): string {
  const line = (side: string) => (pair: EvidencedPair) => {
    const { id, origin, weight, evidence } = pair;
    return `${JSON.stringify({ id, side, origin, weight, ...evidence })}\n`;
  };
  return [...train.map(line("train")), ...heldOut.map(line("held-out"))].join("");
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
