/** The memory behind llama_batch: filled from JavaScript, read by llama_decode on another thread. */
import koffi from "koffi";
import type { Batch } from "./llama-struct.ts";

const INT32_BYTES = 4;

/** A llama_batch of fixed room, one sequence id to a token. It must not be touched while a decode reads it. */
export class DecodeBatch {
  readonly capacity: number;
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #sequences: Int32Array;
  readonly #wantsLogits: Int8Array;
  readonly #addresses: Omit<Batch, "n_tokens">;
  /** Kept so that the memory that native code sees is not collected. */
  readonly #pinned: readonly ArrayBuffer[];
  #length = 0;

  /** @param capacity most tokens of one decode: the context's n_batch */
  constructor(capacity: number) {
    this.capacity = capacity;
    // Each in an ArrayBuffer of its own: V8 may move the memory of small typed arrays, never of these.
    const ints = () => new ArrayBuffer(Math.max(capacity, 16) * INT32_BYTES);
    const [token, pos, sequence, counts, logits] = [ints(), ints(), ints(), ints(), ints()];
    const sequencePointers = new ArrayBuffer(Math.max(capacity, 16) * 8);
    this.#tokens = new Int32Array(token);
    this.#positions = new Int32Array(pos);
    this.#sequences = new Int32Array(sequence);
    this.#wantsLogits = new Int8Array(logits);
    new Int32Array(counts).fill(1);
    const firstSequence = koffi.address(sequence);
    new BigUint64Array(sequencePointers).forEach((_, row, pointers) => {
      pointers[row] = firstSequence + BigInt(row * INT32_BYTES);
    });
    this.#pinned = [token, pos, sequence, counts, logits, sequencePointers];
    this.#addresses = {
      token: koffi.address(token),
      embd: null,
      pos: koffi.address(pos),
      n_seq_id: koffi.address(counts),
      seq_id: koffi.address(sequencePointers),
      logits: koffi.address(logits),
    };
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Appends one token and returns its row. @throws RangeError when the batch is full */
  add(token: number, position: number, sequence: number, wantsLogits: boolean): number {
    const row = this.#length;
    if (row >= this.capacity) throw new RangeError(`a batch holds ${this.capacity} tokens`);
    this.#tokens[row] = token;
    this.#positions[row] = position;
    this.#sequences[row] = sequence;
    this.#wantsLogits[row] = wantsLogits ? 1 : 0;
    this.#length = row + 1;
    return row;
  }

  /** What llama_decode takes; valid until the next `add` or `clear`. */
  struct(): Batch {
    if (this.#pinned.length === 0) throw new Error("the batch has no memory");
    return { n_tokens: this.#length, ...this.#addresses };
  }
}

/** Copies `count` floats from native memory, such as a row of logits. */
export function readFloats(address: bigint, count: number): Float32Array {
  return koffi.decode(address, koffi.array("float", count, "Typed"));
}
