/**
 * Encoded examples in a file: a million of them take no more memory than a thousand, and what was encoded
 * once is not encoded again. It holds people's words as tokens, so it belongs into a run's folder, which is
 * cleared when the run is over. It does not know how examples are encoded.
 */
import { createHash } from "node:crypto";
import type { StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
} from "#engine/base/database.ts";
import type { Sequence } from "../model/trainable.ts";
import { type ExampleSource, hashExample } from "./example-source.ts";
import { type Example, longest } from "./sequence.ts";

/** What an item became. */
export type EncodedItem = {
  /** Empty where the item holds nothing to learn. */
  readonly sequences: readonly Sequence[];
  /** Whether it was shortened to fit. */
  readonly truncated: boolean;
};

/** One item as it comes, before it is encoded. */
export type StoredItem = {
  readonly id: string;
  readonly weight: number;
  /** Of everything that its encoding depends on: an item under a known key is not encoded again. */
  readonly key: Uint8Array;
  readonly encode: () => EncodedItem;
};

/** Ids, and how many there are in all: the list ends at a hundred. */
export type IdTally = { readonly count: number; readonly ids: readonly string[] };

/** What became of the items that a store was filled with. */
export type FillOutcome = {
  readonly truncated: IdTally;
  readonly dropped: IdTally;
  /** Items whose encoding was not known yet. */
  readonly encoded: number;
};

const MIGRATIONS = [
  `CREATE TABLE encodings (
     number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE,
     truncated INTEGER NOT NULL, sequences BLOB NOT NULL
   ) STRICT;
   CREATE TABLE places (
     place INTEGER PRIMARY KEY, id TEXT NOT NULL, weight REAL, encoding INTEGER NOT NULL
   ) STRICT;`,
];
/** Items in a transaction; between two, other work of the process gets its turn. */
const CHUNK = 256;
const IDS_TOLD = 100;

/** The file. Fill it, then read it as a source. */
export class ExampleStore implements ExampleSource, Disposable {
  readonly #path: string;
  readonly #database: Database;
  readonly #read: StatementSync;
  /** In memory, since the order asks for each many times: four bytes an example. */
  #lengths = new Uint32Array();
  #sha256 = createHash("sha256").digest("hex");

  private constructor(path: string, database: Database) {
    this.#path = path;
    this.#database = database;
    this.#read = database.prepare(
      "SELECT id, weight, sequences FROM places JOIN encodings ON number = encoding WHERE place = ?",
    );
  }

  /** Opens or creates the file; it has no example until it is filled. @throws CodedError `database_failed` */
  static open(path: string): ExampleStore {
    return new ExampleStore(path, openDatabase(path, MIGRATIONS));
  }

  /**
   * Takes the items as the source's examples, in their order; those with nothing to learn are left out.
   * Encodings that none of them uses are forgotten.
   * @param signal ends it between two items; what was encoded until then is kept
   * @returns undefined when the signal came first
   * @throws CodedError `disk_full`, `database_failed`
   */
  async fill(items: Iterable<StoredItem>, signal?: AbortSignal): Promise<FillOutcome | undefined> {
    const filling = new Filling(this.#database);
    this.#run(() => this.#database.exec("DELETE FROM places"));
    const iterator = items[Symbol.iterator]();
    for (let done = false; !done; ) {
      if (signal?.aborted === true) return undefined;
      done = this.#run(() => inTransaction(this.#database, () => filling.takeChunk(iterator)));
      await setImmediate();
    }
    this.#run(() =>
      this.#database.exec(
        "DELETE FROM encodings WHERE number NOT IN (SELECT encoding FROM places)",
      ),
    );
    this.#lengths = filling.lengths.slice(0, filling.count);
    this.#sha256 = filling.hash.digest("hex");
    return filling;
  }

  get count(): number {
    return this.#lengths.length;
  }

  get sha256(): string {
    return this.#sha256;
  }

  longestAt(place: number): number {
    return this.#lengths[place] ?? 0;
  }

  read(place: number): Example {
    const row = this.#read.get(place);
    const blob = row?.["sequences"];
    if (row === undefined || !(blob instanceof Uint8Array)) {
      throw new RangeError(`there is no example ${place} in ${this.#path}`);
    }
    return {
      id: String(row["id"]),
      // SQLite keeps NaN as NULL; the loop names the example that has such a weight.
      weight: Number(row["weight"] ?? Number.NaN),
      sequences: unpackSequences(blob),
    };
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }
}

/** The state of one `fill`. */
class Filling implements FillOutcome {
  readonly hash = createHash("sha256");
  readonly truncated = { count: 0, ids: [] as string[] };
  readonly dropped = { count: 0, ids: [] as string[] };
  encoded = 0;
  count = 0;
  lengths = new Uint32Array(CHUNK);
  readonly #known: StatementSync;
  readonly #addEncoding: StatementSync;
  readonly #addPlace: StatementSync;

  constructor(database: Database) {
    this.#known = database.prepare(
      "SELECT number, truncated, sequences FROM encodings WHERE key = ?",
    );
    this.#addEncoding = database.prepare(
      "INSERT INTO encodings (key, truncated, sequences) VALUES (?, ?, ?)",
    );
    this.#addPlace = database.prepare(
      "INSERT INTO places (place, id, weight, encoding) VALUES (?, ?, ?, ?)",
    );
  }

  /** Whether that was all. */
  takeChunk(items: Iterator<StoredItem>): boolean {
    for (let taken = 0; taken < CHUNK; taken++) {
      const next = items.next();
      if (next.done === true) return true;
      this.#take(next.value);
    }
    return false;
  }

  #take(item: StoredItem): void {
    const { number, sequences, truncated } = this.#lookUp(item.key) ?? this.#encode(item);
    if (sequences.length === 0) {
      note(this.dropped, item.id);
      return;
    }
    if (truncated) note(this.truncated, item.id);
    const { id, weight } = item;
    hashExample(this.hash, { id, weight, sequences });
    this.#addPlace.run(this.count, id, weight, number);
    this.#noteLength(longest(sequences));
  }

  #noteLength(tokens: number): void {
    if (this.count === this.lengths.length) {
      const longer = new Uint32Array(2 * this.count);
      longer.set(this.lengths);
      this.lengths = longer;
    }
    this.lengths[this.count] = tokens;
    this.count += 1;
  }

  #lookUp(key: Uint8Array): (EncodedItem & { readonly number: number | bigint }) | undefined {
    const row = this.#known.get(key);
    const blob = row?.["sequences"];
    if (row === undefined || !(blob instanceof Uint8Array)) return undefined;
    return {
      number: Number(row["number"]),
      truncated: row["truncated"] === 1,
      sequences: unpackSequences(blob),
    };
  }

  #encode({ key, encode }: StoredItem): EncodedItem & { readonly number: number | bigint } {
    const { sequences, truncated } = encode();
    this.encoded += 1;
    const blob = packSequences(sequences);
    const { lastInsertRowid: number } = this.#addEncoding.run(key, truncated ? 1 : 0, blob);
    return { number, sequences, truncated };
  }
}

function note(tally: { count: number; ids: string[] }, id: string): void {
  tally.count += 1;
  if (tally.ids.length < IDS_TOLD) tally.ids.push(id);
}

/** For each sequence its length (u32), its tokens (i32) and its mask (bytes). */
function packSequences(sequences: readonly Sequence[]): Uint8Array {
  const bytes = sequences.reduce((sum, { tokens }) => sum + 4 + 5 * tokens.length, 0);
  const packed = Buffer.alloc(bytes);
  let at = 0;
  for (const { tokens, scored } of sequences) {
    at = packed.writeUInt32LE(tokens.length, at);
    packed.set(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength), at);
    packed.set(scored, at + tokens.byteLength);
    at += tokens.byteLength + scored.length;
  }
  return packed;
}

function unpackSequences(packed: Uint8Array): Sequence[] {
  const sequences: Sequence[] = [];
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  for (let at = 0; at < packed.length; ) {
    const length = view.getUint32(at, true);
    const start = at + 4;
    const end = start + 4 * length;
    // Copied, since what SQLite gives need not be aligned for 32-bit numbers.
    const tokens = new Int32Array(packed.slice(start, end).buffer);
    sequences.push({ tokens, scored: packed.slice(end, end + length) });
    at = end + length;
  }
  return sequences;
}
