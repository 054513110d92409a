/** Whole numbers by place, in a file of their own beside what they belong to: a million take no memory. */
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { explainWriteError } from "#engine/base/atomic-file.ts";

const BYTES = Uint32Array.BYTES_PER_ELEMENT;
const BUFFERED = 4096;

/** Numbers from 0 to 2³² − 1, in the order in which they are added. The file lives as long as this does. */
export class LengthFile implements Disposable {
  readonly #path: string;
  readonly #file: number;
  readonly #unwritten = new Uint32Array(BUFFERED);
  readonly #one = new Uint32Array(1);
  #written = 0;
  #count = 0;
  #open = true;

  /** Makes the file, in place of one that another left there. */
  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "w+", 0o600);
  }

  get count(): number {
    return this.#count;
  }

  /** @throws CodedError `disk_full` */
  add(value: number): void {
    this.#unwritten[this.#count - this.#written] = value;
    this.#count += 1;
    if (this.#count - this.#written === BUFFERED) this.#flush();
  }

  /** 0 where nothing stands. */
  at(place: number): number {
    if (place >= this.#written) return this.#unwritten[place - this.#written] ?? 0;
    readSync(this.#file, this.#one, 0, BYTES, place * BYTES);
    return this.#one[0] ?? 0;
  }

  clear(): void {
    this.#unwritten.fill(0);
    this.#written = 0;
    this.#count = 0;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  #flush(): void {
    const length = BUFFERED * BYTES;
    const start = this.#written * BYTES;
    try {
      // A disk that is about to be full takes a part, and says so only when asked again.
      for (let done = 0; done < length; ) {
        done += writeSync(this.#file, this.#unwritten, done, length - done, start + done);
      }
    } catch (error) {
      throw explainWriteError(error, this.#path);
    }
    this.#written += BUFFERED;
    this.#unwritten.fill(0);
  }
}
