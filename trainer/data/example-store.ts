/**
 * Encoded examples in a file: a million of them take no more memory than a thousand, and what was encoded
 * once is not encoded again. Tokens are words, so each example is sealed for the people whose words it holds; and
 * it belongs into a run's folder, which is cleared when the run is over. It does not know how examples are encoded.
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
import { erasedMeanwhile } from "../feedback/erased.ts";
import type { KeyRing } from "../feedback/key-ring.ts";
import type { Sequence } from "../model/trainable.ts";
import { type ExampleSource, hashExample } from "./example-source.ts";
import { LengthFile } from "./length-file.ts";
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
  /** Pseudonyms of the people whose words it holds; nobody's when left out. */
  readonly personKeys?: readonly string[];
  readonly encode: () => EncodedItem;
};

/** What seals examples for people, and opens them as long as none of their keys is destroyed. */
export type ExampleSeal = Pick<KeyRing, "sealBytes" | "openBytes">;

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
  // Another layout of the sequences; and what is no longer used is found without a list of what is.
  `DELETE FROM places; DELETE FROM encodings; CREATE INDEX places_by_encoding ON places (encoding);`,
  // Sealed from now on: what is in the clear goes.
  `DELETE FROM places; DELETE FROM encodings;
   ALTER TABLE encodings ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;`,
];
/** Items in a transaction; between two, other work of the process gets its turn. */
const CHUNK = 256;
const IDS_TOLD = 100;
const WORD = Int32Array.BYTES_PER_ELEMENT;

/** The file. Fill it, then read it as a source. */
export class ExampleStore implements ExampleSource, Disposable {
  readonly #path: string;
  readonly #database: Database;
  readonly #seal: ExampleSeal | undefined;
  readonly #read: StatementSync;
  /** Apart, since the order asks for each many times. */
  readonly #lengths: LengthFile;
  /** Set once it is filled. */
  #count = 0;
  #sha256 = createHash("sha256").digest("hex");

  private constructor(path: string, database: Database, seal: ExampleSeal | undefined) {
    this.#path = path;
    this.#database = database;
    this.#seal = seal;
    this.#lengths = new LengthFile(`${path}-lengths`);
    this.#read = database.prepare(
      "SELECT id, weight, key, sealed, sequences FROM places JOIN encodings ON number = encoding WHERE place = ?",
    );
  }

  /**
   * Opens or creates the file; it has no example until it is filled.
   * @param seal without it, examples of people are refused
   * @throws CodedError `database_failed`
   */
  static open(path: string, seal?: ExampleSeal): ExampleStore {
    return new ExampleStore(path, openDatabase(path, MIGRATIONS), seal);
  }

  /**
   * Takes the items as the source's examples, in their order; those with nothing to learn are left out.
   * Encodings that none of them uses are forgotten.
   * @param signal ends it between two items; what was encoded until then is kept
   * @returns undefined when the signal came first
   * @throws CodedError `disk_full`, `database_failed`
   */
  async fill(items: Iterable<StoredItem>, signal?: AbortSignal): Promise<FillOutcome | undefined> {
    this.#count = 0;
    this.#lengths.clear();
    const filling = new Filling(this.#database, this.#lengths, this.#seal);
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
    this.#count = this.#lengths.count;
    this.#sha256 = filling.hash.digest("hex");
    return filling;
  }

  get count(): number {
    return this.#count;
  }

  get sha256(): string {
    return this.#sha256;
  }

  longestAt(place: number): number {
    return this.#lengths.at(place);
  }

  /** @throws CodedError `erased_meanwhile` where a key of somebody whose words it holds was destroyed */
  read(place: number): Example {
    const row = this.#read.get(place);
    if (row === undefined) throw new RangeError(`there is no example ${place} in ${this.#path}`);
    const id = String(row["id"]);
    const sequences = openSequences(row, this.#seal);
    if (sequences === undefined) throw erasedMeanwhile(id);
    // SQLite keeps NaN as NULL; the loop names the example that has such a weight.
    return { id, weight: Number(row["weight"] ?? Number.NaN), sequences };
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
    this.#lengths[Symbol.dispose]();
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
  readonly #lengths: LengthFile;
  readonly #seal: ExampleSeal | undefined;
  readonly #known: StatementSync;
  readonly #addEncoding: StatementSync;
  readonly #addPlace: StatementSync;

  constructor(database: Database, lengths: LengthFile, seal: ExampleSeal | undefined) {
    this.#lengths = lengths;
    this.#seal = seal;
    this.#known = database.prepare(
      "SELECT number, key, truncated, sealed, sequences FROM encodings WHERE key = ?",
    );
    // What cannot be opened any more makes room.
    this.#addEncoding = database.prepare(
      "INSERT OR REPLACE INTO encodings (key, truncated, sealed, sequences) VALUES (?, ?, ?, ?)",
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
    this.#addPlace.run(this.#lengths.count, id, weight, number);
    this.#lengths.add(longest(sequences));
  }

  #lookUp(key: Uint8Array): Known | undefined {
    const row = this.#known.get(key);
    const sequences = row === undefined ? undefined : openSequences(row, this.#seal);
    if (row === undefined || sequences === undefined) return undefined;
    return { number: Number(row["number"]), truncated: row["truncated"] === 1, sequences };
  }

  #encode({ id, key, personKeys = [], encode }: StoredItem): Known {
    const { sequences, truncated } = encode();
    this.encoded += 1;
    const packed = packSequences(sequences);
    const isSealed = personKeys.length > 0;
    if (isSealed && this.#seal === undefined) {
      throw new RangeError(`${id} holds words of people, and there is nothing to seal them with`);
    }
    const stored = isSealed ? this.#seal?.sealBytes(personKeys, packed, contextOf(key)) : packed;
    const flags = [truncated, isSealed].map(Number);
    const { lastInsertRowid: number } = this.#addEncoding.run(key, ...flags, stored ?? packed);
    return { number, sequences, truncated };
  }
}

type Known = EncodedItem & { readonly number: number | bigint };

/** The sequences of a row; undefined where a key that closes them is gone. */
function openSequences(
  row: Readonly<Record<string, unknown>>,
  seal: ExampleSeal | undefined,
): Sequence[] | undefined {
  const { key, sequences: stored, sealed } = row;
  if (!(key instanceof Uint8Array && stored instanceof Uint8Array)) return undefined;
  if (sealed !== 1) return unpackSequences(stored);
  const opened = seal?.openBytes(stored, contextOf(key));
  return opened === undefined ? undefined : unpackSequences(opened);
}

function contextOf(key: Uint8Array): string {
  return `example ${Buffer.from(key).toString("hex")}`;
}

function note(tally: { count: number; ids: string[] }, id: string): void {
  tally.count += 1;
  if (tally.ids.length < IDS_TOLD) tally.ids.push(id);
}

/** How many sequences (u32), the length of each (u32), then the tokens of all (i32), then their masks (bytes). */
function packSequences(sequences: readonly Sequence[]): Uint8Array {
  const lengths = sequences.map(({ tokens }) => tokens.length);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const words = new Int32Array(1 + lengths.length + total + Math.ceil(total / WORD));
  words.set([lengths.length, ...lengths]);
  const packed = new Uint8Array(words.buffer);
  let at = 1 + lengths.length;
  let maskAt = WORD * (at + total);
  for (const { tokens, scored } of sequences) {
    words.set(tokens, at);
    packed.set(scored, maskAt);
    at += tokens.length;
    maskAt += scored.length;
  }
  return packed;
}

/** Views of the packed bytes, not copies: each piece of memory that is asked for and given back leaves gaps. */
function unpackSequences(given: Uint8Array): Sequence[] {
  const packed = given.byteOffset % WORD === 0 ? given : given.slice();
  const words = new Int32Array(packed.buffer, packed.byteOffset, packed.length / WORD);
  const [count = 0] = words;
  const lengths = words.subarray(1, 1 + count);
  let at = 1 + count;
  let maskAt = WORD * lengths.reduce((sum, length) => sum + length, at);
  return Array.from(lengths, (length) => {
    const sequence = {
      tokens: words.subarray(at, at + length),
      scored: packed.subarray(maskAt, maskAt + length),
    };
    at += length;
    maskAt += length;
    return sequence;
  });
}
