/**
 * Log-probabilities of the frozen reference model: computed once for each sequence and kept in a file, which
 * holds hashes and numbers but no text. They must be computed before any training step of a full-parameter
 * model, whose parameters are the reference.
 */
import type { StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
} from "#engine/base/database.ts";
import { splitStep } from "../data/batches.ts";
import type { ExampleSource } from "../data/example-source.ts";
import { type Example, sequenceLogp } from "../data/sequence.ts";
import { contentKey } from "../feedback/content-key.ts";
import type { KeyRing } from "../feedback/key-ring.ts";
import type { Sequence, Trainable } from "../model/trainable.ts";
import type { Progress } from "./run.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** What is asked of the reference. */
export type ReferenceRequest = {
  readonly model: Pick<Trainable, "logps">;
  /** sha256 of the model's file: another model's cached figures are not taken. */
  readonly modelSha256: string;
  readonly sources: readonly ExampleSource[];
  readonly maxTokensPerBatch: number;
  /** Made when it is not there. */
  readonly cachePath: string;
  /** Makes what figures are found by, so that no guess at people's words can be confirmed by it. */
  readonly seal?: Pick<KeyRing, "digest">;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

/** log π_ref(y|x) of an example's sequences: the n-th number is that of the n-th sequence. */
export type ReferenceLogps = {
  /** Undefined for an example that was not among those computed. */
  get(example: Example): readonly number[] | undefined;
};

const MIGRATIONS = [
  `CREATE TABLE logps (key BLOB PRIMARY KEY, logp REAL NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE used (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;`,
];
/** Examples that are sorted by length together, and whose figures are written together. */
const CHUNK = 128;

/**
 * Computes what the cache lacks. Figures computed before an abort are kept; those that no example uses are
 * forgotten, so that nothing remains of what was deleted.
 * @returns undefined when the signal came before all were there; else to be disposed, which closes the cache
 * @throws CodedError `disk_full`, `database_failed`
 */
export async function referenceLogps(
  request: ReferenceRequest,
): Promise<(ReferenceLogps & Disposable) | undefined> {
  const cache = new ReferenceCache(request);
  try {
    if (await computeMissing(cache, request)) return cache;
    cache[Symbol.dispose]();
    return undefined;
  } catch (error) {
    cache[Symbol.dispose]();
    throw explainDatabaseError(error, request.cachePath);
  }
}

/** False when the signal came first. */
async function computeMissing(cache: ReferenceCache, request: ReferenceRequest): Promise<boolean> {
  const total = request.sources.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  const report = (computed: number): void => {
    done += computed;
    request.onProgress?.({ phase: "reference", done, total });
  };
  cache.startUse();
  for (const source of request.sources) {
    for (let first = 0; first < source.count; first += CHUNK) {
      const places = Array.from({ length: Math.min(CHUNK, source.count - first) }, (_, i) => i);
      const examples = places.map((place) => source.read(first + place));
      const missing = examples.filter((example) => cache.get(example) === undefined);
      done += examples.length - missing.length;
      if (!(await computeChunk(cache, missing, request, report))) return false;
      cache.use(examples);
    }
  }
  cache.forgetUnused();
  return true;
}

async function computeChunk(
  cache: ReferenceCache,
  missing: readonly Example[],
  { model, maxTokensPerBatch, signal }: ReferenceRequest,
  report: (computed: number) => void,
): Promise<boolean> {
  for (const part of splitStep(missing, maxTokensPerBatch).parts) {
    const sequences = part.flatMap((example) => example.sequences);
    const score = () => model.logps(sequences, { reference: true, signal });
    const logps = await unlessAborted(signal, score);
    if (logps === undefined) return false;
    cache.add(
      sequences,
      logps.map((each) => sequenceLogp(each)),
    );
    report(part.length);
    await setImmediate();
  }
  return signal?.aborted !== true;
}

class ReferenceCache implements ReferenceLogps, Disposable {
  readonly #modelSha256: string;
  readonly #seal: ReferenceRequest["seal"];
  readonly #database: Database;
  readonly #find: StatementSync;
  readonly #add: StatementSync;
  readonly #use: StatementSync;

  constructor({ cachePath, modelSha256, seal }: ReferenceRequest) {
    this.#modelSha256 = modelSha256;
    this.#seal = seal;
    this.#database = openDatabase(cachePath, MIGRATIONS);
    this.#find = this.#database.prepare("SELECT logp FROM logps WHERE key = ?");
    this.#add = this.#database.prepare("INSERT OR REPLACE INTO logps (key, logp) VALUES (?, ?)");
    this.#use = this.#database.prepare("INSERT OR IGNORE INTO used (key) VALUES (?)");
  }

  get({ sequences }: Example): readonly number[] | undefined {
    const logps = sequences.flatMap((sequence) => {
      const row = this.#find.get(this.#keyOf(sequence));
      return row === undefined ? [] : [Number(row["logp"])];
    });
    return logps.length === sequences.length ? logps : undefined;
  }

  add(sequences: readonly Sequence[], logps: readonly number[]): void {
    inTransaction(this.#database, () => {
      sequences.forEach((sequence, i) => {
        const logp = logps[i];
        // A logp that is no number is not kept: the loss then says which examples have it.
        if (Number.isFinite(logp)) this.#add.run(this.#keyOf(sequence), logp ?? 0);
      });
    });
  }

  startUse(): void {
    this.#database.exec("DELETE FROM used");
  }

  use(examples: readonly Example[]): void {
    inTransaction(this.#database, () => {
      for (const { sequences } of examples) {
        for (const sequence of sequences) this.#use.run(this.#keyOf(sequence));
      }
    });
  }

  forgetUnused(): void {
    this.#database.exec(
      "DELETE FROM logps WHERE key NOT IN (SELECT key FROM used); DELETE FROM used",
    );
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Content, not name: an edited answer under an old id is computed anew. */
  #keyOf({ tokens, scored }: Sequence): Uint8Array {
    return contentKey(this.#seal, this.#modelSha256, tokens, scored);
  }
}
