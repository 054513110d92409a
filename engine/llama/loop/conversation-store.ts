/**
 * Idle conversations' KV on disk, bounded by bytes, so that one that comes back need not be computed again.
 * Files are encrypted with a key that only this process knows and never writes down: what people wrote cannot be
 * read from them, and nothing outlives the process. It knows tokens and bytes, nothing of contexts.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { explainWriteError } from "../../base/atomic-file.ts";
import { commonPrefix } from "./sequence-cache.ts";

/** A conversation that was parked. */
export type ParkedConversation = {
  readonly tokens: readonly number[];
  readonly bytes: number;
};

/** Figures for /health and the plan. */
export type StoreStats = {
  readonly conversations: number;
  readonly bytes: number;
  readonly parked: number;
  readonly returned: number;
};

type Entry = ParkedConversation & {
  readonly path: string;
  readonly shelf: Shelf;
  /** Settles once it is written; false when it could not be. */
  readonly written: Promise<boolean>;
  key: { readonly iv: Buffer; tag: Buffer };
};

const CIPHER = "aes-256-gcm";
const IV_BYTES = 12;
/** Encrypted at once: a fraction of a millisecond of the event loop's time. */
const PIECE_BYTES = 1 << 18;
/** More than this on the way to the disk, and further conversations are let go instead. */
const MAX_WRITING = 4;

/** See the file's head. Least recently parked conversations make room. */
export class ConversationStore implements AsyncDisposable {
  readonly #folder: string;
  readonly #limitBytes: number;
  readonly #secret = randomBytes(32);
  readonly #entries = new Set<Entry>();
  readonly #writing = new Set<Promise<unknown>>();
  #bytes = 0;
  #parked = 0;
  #returned = 0;
  #nextFile = 0;

  /**
   * Empties the folder: what an earlier process left there nobody can read.
   * @throws CodedError `disk_full`; else what the file system reports
   */
  constructor(folder: string, limitBytes: number) {
    this.#folder = folder;
    this.#limitBytes = limitBytes;
    emptyFolder(folder);
  }

  get stats(): StoreStats {
    return {
      conversations: this.#entries.size,
      bytes: this.#bytes,
      parked: this.#parked,
      returned: this.#returned,
    };
  }

  /** Conversations of one adapter: KV of another must never be found among them. */
  shelf(): Shelf {
    return new Shelf(this);
  }

  /** The conversation of the shelf that holds most of the prompt's beginning. */
  find(
    shelf: Shelf,
    prompt: ArrayLike<number>,
  ): { readonly conversation: ParkedConversation; readonly kept: number } | undefined {
    const limit = prompt.length - 1;
    let best: { conversation: ParkedConversation; kept: number } | undefined;
    for (const entry of this.#entries) {
      if (entry.shelf !== shelf) continue;
      const kept = Math.min(commonPrefix(prompt, entry.tokens), limit);
      if (kept > (best?.kept ?? 0)) best = { conversation: entry, kept };
    }
    return best;
  }

  /** Parks a conversation's state, or lets it go where the disk cannot keep up. Never throws. */
  park(shelf: Shelf, tokens: readonly number[], state: Uint8Array): void {
    if (state.byteLength > this.#limitBytes || this.#writing.size >= MAX_WRITING) return;
    this.#drop((entry) => entry.shelf === shelf && continues(tokens, entry.tokens));
    for (const oldest of this.#entries) {
      if (this.#bytes + state.byteLength <= this.#limitBytes) break;
      this.#remove(oldest);
    }
    const key = { iv: randomBytes(IV_BYTES), tag: Buffer.alloc(0) };
    const path = join(this.#folder, `${this.#nextFile}.kv`);
    this.#nextFile += 1;
    const written = this.#write(path, key, state);
    const entry: Entry = { tokens, bytes: state.byteLength, path, shelf, written, key };
    this.#entries.add(entry);
    this.#bytes += entry.bytes;
    this.#parked += 1;
    this.#writing.add(written);
    void written.then((isThere) => {
      this.#writing.delete(written);
      if (!isThere) this.#remove(entry);
    });
  }

  /** Reads a conversation's state and forgets it here; undefined when it is gone or damaged. Never rejects. */
  async take(conversation: ParkedConversation): Promise<Uint8Array | undefined> {
    const entry = [...this.#entries].find((candidate) => candidate === conversation);
    if (entry === undefined || !(await entry.written)) return undefined;
    try {
      const state = await this.#read(entry);
      this.#returned += 1;
      return state;
    } catch {
      // Lost to the disk or to someone's hands: it is computed again, which costs time and nothing else.
      return undefined;
    } finally {
      this.#remove(entry);
    }
  }

  /** Forgets all of a shelf's conversations. */
  clear(shelf: Shelf): void {
    this.#drop((entry) => entry.shelf === shelf);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#writing);
    this.#entries.clear();
    this.#bytes = 0;
    await rm(this.#folder, { recursive: true, force: true });
  }

  #drop(matches: (entry: Entry) => boolean): void {
    for (const entry of this.#entries) if (matches(entry)) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entry.bytes;
    void entry.written.then(() => rm(entry.path, { force: true }).catch(() => undefined));
  }

  async #write(path: string, key: Entry["key"], state: Uint8Array): Promise<boolean> {
    const cipher = createCipheriv(CIPHER, this.#secret, key.iv);
    let file: FileHandle | undefined;
    try {
      file = await open(path, "wx", 0o600);
      for (let at = 0; at < state.byteLength; at += PIECE_BYTES) {
        await file.writeFile(cipher.update(state.subarray(at, at + PIECE_BYTES)));
      }
      cipher.final();
      key.tag = cipher.getAuthTag();
      return true;
    } catch {
      return false;
    } finally {
      await file?.close();
    }
  }

  async #read({ path, key, bytes }: Entry): Promise<Uint8Array> {
    const decipher = createDecipheriv(CIPHER, this.#secret, key.iv).setAuthTag(key.tag);
    const state = new Uint8Array(bytes);
    const file = await open(path, "r");
    try {
      let at = 0;
      for await (const piece of file.createReadStream({
        autoClose: false,
        highWaterMark: PIECE_BYTES,
      })) {
        state.set(decipher.update(piece), at);
        at += piece.length;
        await setImmediate();
      }
      decipher.final();
      if (at !== bytes) throw new Error(`expected ${bytes} bytes in ${path}, found ${at}`);
      return state;
    } finally {
      await file.close();
    }
  }
}

/**
 * Makes the folder that a store is to use, empty.
 * @throws CodedError `disk_full`; else what the file system reports
 */
export function emptyFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw explainWriteError(error, folder);
  }
}

/** One adapter's part of the store. */
export class Shelf {
  readonly #store: ConversationStore;

  constructor(store: ConversationStore) {
    this.#store = store;
  }

  /** See `ConversationStore.find`. */
  find(prompt: ArrayLike<number>): ReturnType<ConversationStore["find"]> {
    return this.#store.find(this, prompt);
  }

  /** See `ConversationStore.park`. */
  park(tokens: readonly number[], state: Uint8Array): void {
    this.#store.park(this, tokens, state);
  }

  /** See `ConversationStore.take`. */
  take(conversation: ParkedConversation): Promise<Uint8Array | undefined> {
    return this.#store.take(conversation);
  }

  /** See `ConversationStore.clear`. */
  clear(): void {
    this.#store.clear(this);
  }
}

/** Whether `tokens` begin with all of `earlier`: then that one is of no use any more. */
function continues(tokens: readonly number[], earlier: readonly number[]): boolean {
  return commonPrefix(tokens, earlier) === earlier.length;
}
