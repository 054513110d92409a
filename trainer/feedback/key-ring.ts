/**
 * A key for each person, in `DATA_DIR/keys.db`, wrapped by the installation's master key. Text about
 * people is sealed with them; destroying a person's key erases all of it, wherever copies may lie.
 * Keys are never kept in memory, so that a destroyed one is gone for every process at once.
 */
import {
  type BinaryLike,
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
} from "node:crypto";
import { dirname, join } from "node:path";
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
  preparingOnce,
} from "#engine/base/database.ts";
import { CodedError } from "#engine/base/errors.ts";
import { openBytes, openText, type PersonKey, sealBytes, sealText } from "./sealed-text.ts";
import { readSecret } from "./secret-file.ts";

const MIGRATIONS = [
  `CREATE TABLE keys (
     id TEXT PRIMARY KEY,
     person_key TEXT NOT NULL UNIQUE,
     wrapped BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const ID_BYTES = 12;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Where the keys are, by the names of the settings. */
export type KeySettings = {
  readonly DATA_DIR: string;
  /** The master key's file; `DATA_DIR/master.key` when left out. */
  readonly MASTER_KEY_FILE?: string | undefined;
};

type Opened = {
  readonly database: Database;
  readonly prepare: ReturnType<typeof preparingOnce>;
  readonly master: Buffer;
  readonly digestKey: Uint8Array;
};

/** All keys. Nothing is opened before the first use. Methods throw CodedError `database_failed`, `disk_full`, `config_invalid`. */
export class KeyRing implements Disposable {
  readonly #path: string;
  readonly #readMaster: () => Buffer;
  #opened: Opened | undefined;

  private constructor(path: string, readMaster: () => Buffer) {
    this.#path = path;
    this.#readMaster = readMaster;
  }

  /** The ring of a data folder. */
  static open({ DATA_DIR, MASTER_KEY_FILE }: KeySettings): KeyRing {
    const masterPath = MASTER_KEY_FILE ?? join(DATA_DIR, "master.key");
    const loss = "without it nothing that people wrote can be read again";
    return new KeyRing(join(DATA_DIR, "keys.db"), () => readSecret(masterPath, loss));
  }

  /** The ring of the folder that a database lies in; for one in memory, a ring in memory. */
  static beside(databasePath: string): KeyRing {
    if (databasePath !== ":memory:") return KeyRing.open({ DATA_DIR: dirname(databasePath) });
    return new KeyRing(":memory:", () => randomBytes(KEY_BYTES));
  }

  /**
   * Seals text for everyone whose words it holds, making keys for those who have none.
   * @param context what the text belongs to; it opens nowhere else
   */
  seal(personKeys: readonly string[], text: string, context: string): string {
    return sealText(this.#keysOf(personKeys), text, context);
  }

  /** Opens sealed text. @returns undefined when a key of it was destroyed */
  open(sealed: string, context: string): string | undefined {
    return openText(sealed, context, (id) => this.#find("id", id));
  }

  /** Seals bytes as `seal` does text. @param personKeys at least one */
  sealBytes(personKeys: readonly string[], bytes: Uint8Array, context: string): Uint8Array {
    return sealBytes(this.#keysOf(personKeys), bytes, context);
  }

  /** Opens sealed bytes. @returns undefined when a key of them was destroyed */
  openBytes(sealed: Uint8Array, context: string): Uint8Array | undefined {
    return openBytes(sealed, context, (id) => this.#find("id", id));
  }

  /**
   * What content is found again by, instead of a plain hash, by which whoever guesses the content could make sure of it:
   * HMAC-SHA-256 of all parts, one after the other, under a key of this installation's.
   */
  digest(...parts: readonly BinaryLike[]): Buffer {
    return this.#guard(({ digestKey }) => {
      const hmac = createHmac("sha256", digestKey);
      for (const part of parts) hmac.update(part);
      return hmac.digest();
    });
  }

  /** Destroys a person's key. @returns whether there was one */
  destroy(personKey: string): boolean {
    return this.#guard(({ database, prepare }) => {
      const { changes } = prepare("DELETE FROM keys WHERE person_key = ?").run(personKey);
      // The key must not live on in the write-ahead log.
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      return changes > 0;
    });
  }

  [Symbol.dispose](): void {
    this.#opened?.database.close();
    this.#opened = undefined;
  }

  #keysOf(personKeys: readonly string[]): readonly PersonKey[] {
    return [...new Set(personKeys)].map((personKey) => this.#keyOf(personKey));
  }

  #keyOf(personKey: string): PersonKey {
    return this.#find("person_key", personKey) ?? this.#make(personKey);
  }

  #make(personKey: string): PersonKey {
    return this.#guard(({ database, prepare, master }) =>
      inTransaction(database, () => {
        const id = randomBytes(ID_BYTES).toString("hex");
        const insert = prepare("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)");
        insert.run(id, personKey, wrap(master, id, randomBytes(KEY_BYTES)));
        const made = this.#find("person_key", personKey);
        if (made === undefined) throw new Error("a key that was just made is not there");
        return made;
      }),
    );
  }

  #find(column: "id" | "person_key", value: string): PersonKey | undefined {
    return this.#guard(({ prepare, master }) => {
      const row = prepare(`SELECT id, wrapped FROM keys WHERE ${column} = ?`).get(value);
      const wrapped = row?.["wrapped"];
      if (!(wrapped instanceof Uint8Array)) return undefined;
      const id = String(row?.["id"]);
      return { id, bytes: unwrap(master, id, wrapped) };
    });
  }

  #guard<T>(work: (opened: Opened) => T): T {
    try {
      this.#opened ??= this.#open();
      return work(this.#opened);
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }

  #open(): Opened {
    const master = this.#readMaster();
    const database = openDatabase(this.#path, MIGRATIONS);
    database.exec("PRAGMA secure_delete = ON");
    const digestKey = hkdfSync("sha256", master, "", "zephyr-community digests v1", KEY_BYTES);
    return {
      database,
      prepare: preparingOnce(database),
      master,
      digestKey: new Uint8Array(digestKey),
    };
  }
}

function wrap(master: Buffer, id: string, key: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, master, iv);
  cipher.setAAD(Buffer.from(id));
  const body = Buffer.concat([cipher.update(key), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

function unwrap(master: Buffer, id: string, wrapped: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv(CIPHER, master, wrapped.subarray(0, IV_BYTES));
    decipher.setAAD(Buffer.from(id));
    decipher.setAuthTag(wrapped.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    const body = decipher.update(wrapped.subarray(IV_BYTES + TAG_BYTES));
    return Buffer.concat([body, decipher.final()]);
  } catch (error) {
    throw new CodedError(
      "The master key does not fit the people's keys in keys.db. Restore master.key (or MASTER_KEY_FILE) and keys.db from the same backup.",
      { code: "config_invalid", cause: error },
    );
  }
}
