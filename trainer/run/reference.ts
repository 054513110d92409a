/**
 * Log-probabilities of the frozen reference model: computed once for each sequence, kept in memory and on disk.
 * It must run before any training step of a full-parameter model, whose parameters are the reference.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { splitStep } from "../data/batches.ts";
import { type Example, sequenceLogp } from "../data/sequence.ts";
import type { Sequence, Trainable } from "../model/trainable.ts";
import type { Progress } from "./run.ts";

/** What is asked of the reference. */
export type ReferenceRequest = {
  readonly model: Pick<Trainable, "logps">;
  /** sha256 of the model's file: another model's cached figures are not taken. */
  readonly modelSha256: string;
  readonly examples: readonly Example[];
  readonly maxTokensPerBatch: number;
  /** JSON lines; made when it is not there. */
  readonly cachePath: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

const entrySchema = z.object({ key: z.string(), logp: z.number() });

/**
 * log π_ref(y|x) of every sequence, by example: the n-th number is that of the n-th sequence. Figures
 * computed before an abort are kept on disk.
 * @returns undefined when the signal came before all were there
 * @throws CodedError `disk_full`
 */
export async function referenceLogps(
  request: ReferenceRequest,
): Promise<ReadonlyMap<Example, readonly number[]> | undefined> {
  const { examples, cachePath, modelSha256, signal } = request;
  const known = readCache(cachePath);
  const keyOf = (sequence: Sequence): string => sequenceKey(modelSha256, sequence);
  const missing = examples.filter((one) => one.sequences.some((each) => !known.has(keyOf(each))));
  let done = 0;
  for (const part of splitStep(missing, request.maxTokensPerBatch).parts) {
    if (signal?.aborted === true) break;
    const sequences = part.flatMap((example) => example.sequences);
    const logps = request.model.logps(sequences, { reference: true });
    sequences.forEach((sequence, i) => {
      known.set(keyOf(sequence), sequenceLogp(logps[i] ?? new Float32Array()));
    });
    done += part.length;
    request.onProgress?.({ phase: "reference", done, total: missing.length });
    await setImmediate();
  }
  if (done > 0) writeCache(cachePath, known);
  if (signal?.aborted === true) return undefined;
  return new Map(
    examples.map((example) => [
      example,
      example.sequences.map((sequence) => known.get(keyOf(sequence)) ?? Number.NaN),
    ]),
  );
}

/** Content, not name: an edited answer under an old id is computed anew. */
function sequenceKey(modelSha256: string, { tokens, scored }: Sequence): string {
  return createHash("sha256").update(modelSha256).update(tokens).update(scored).digest("hex");
}

function readCache(path: string): Map<string, number> {
  if (!existsSync(path)) return new Map();
  return new Map(readFileSync(path, "utf8").split("\n").flatMap(parseEntry));
}

/** A line that cannot be read is computed again. */
function parseEntry(line: string): [string, number][] {
  try {
    const { key, logp } = entrySchema.parse(JSON.parse(line));
    return [[key, logp]];
  } catch {
    return [];
  }
}

function writeCache(path: string, known: ReadonlyMap<string, number>): void {
  const lines = Array.from(known, ([key, logp]) => `${JSON.stringify({ key, logp })}\n`);
  writeFileAtomic(path, lines.join(""));
}
