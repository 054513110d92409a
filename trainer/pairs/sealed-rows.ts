/**
 * Rows in a file of lines, each sealed for the people whose words it holds, written and read one at a time. It
 * knows nothing of what the rows mean.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { writeChunksAtomic } from "#engine/base/atomic-file.ts";
import { CodedError } from "#engine/base/errors.ts";
import { erasedMeanwhile } from "#trainer/feedback/erased.ts";
import type { KeyRing } from "#trainer/feedback/key-ring.ts";
import { linesOf } from "../data/lines.ts";

/** What seals rows, and opens them as long as none of their keys is destroyed. */
export type RowSeal = Pick<KeyRing, "seal" | "open">;

/** What every row has. */
type SealableRow = {
  readonly id: string;
  /** Pseudonyms of all whose words it holds, at least one. */
  readonly personKeys: readonly string[];
};

const lineSchema = z.object({ id: z.string(), sealed: z.string() });

/**
 * Writes the file, or leaves the old one standing.
 * @throws CodedError `disk_full`, `database_failed`
 */
export function writeSealedRows(path: string, rows: Iterable<SealableRow>, seal: RowSeal): void {
  const lines = function* (): Generator<Uint8Array> {
    for (const row of rows) {
      const sealed = seal.seal(row.personKeys, JSON.stringify(row), contextOf(row.id));
      yield Buffer.from(`${JSON.stringify({ id: row.id, sealed })}\n`);
    }
  };
  writeChunksAtomic(path, lines());
}

/** Hash of rows as they are without the seal, hex: equal for equal rows. */
export function hashRows(rows: readonly SealableRow[]): string {
  return hashTexts(rows.values().map((row) => JSON.stringify(row)));
}

/**
 * The rows, each opened when it is asked for; iterating again reads the file again.
 * @throws CodedError `erased_meanwhile` for a row that a destroyed key closes
 */
export function sealedRows<T>(path: string, schema: z.ZodType<T>, seal: RowSeal): Iterable<T> {
  return {
    *[Symbol.iterator]() {
      for (const text of openedLines(path, seal)) yield schema.parse(JSON.parse(text));
    },
  };
}

/**
 * Makes sure that the rows are those that were written.
 * @param expectedSha256 as `hashRows` gives it
 * @throws CodedError `checkpoint_corrupt`, `erased_meanwhile`
 */
export function verifySealedRows(path: string, expectedSha256: string, seal: RowSeal): void {
  const found = hashTexts(openedLines(path, seal));
  if (found !== expectedSha256) throw corrupt(path, `sha256 ${found.slice(0, 12)}…`);
}

function hashTexts(texts: Iterable<string>): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text}\n`);
  return hash.digest("hex");
}

function* openedLines(path: string, seal: RowSeal): Generator<string> {
  for (const line of linesOf(path)) {
    if (line === "") continue;
    const { id, sealed } = parseLine(line, path);
    const text = openLine(sealed, id, path, seal);
    if (text === undefined) throw erasedMeanwhile(id);
    yield text;
  }
}

function parseLine(line: string, path: string): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch (error) {
    throw corrupt(path, "a line that is none of its own", error);
  }
}

function openLine(sealed: string, id: string, path: string, seal: RowSeal): string | undefined {
  try {
    return seal.open(sealed, contextOf(id));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw corrupt(path, `a line about ${id} that was changed`, error);
  }
}

function corrupt(path: string, found: string, cause?: unknown): CodedError {
  return new CodedError(
    `Expected ${path} to be as the run's manifest says, found ${found}. Remove the run's folder and train again.`,
    { code: "checkpoint_corrupt", cause },
  );
}

function contextOf(id: string): string {
  return `pair ${id}`;
}
