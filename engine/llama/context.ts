/**
 * A llama_context: KV cells for a number of sequences under one set of weights, and the checks that keep libllama
 * from aborting. It knows nothing of conversations, and only ever runs one call at a time.
 */
import { CodedError } from "../base/errors.ts";
import { type DecodeBatch, readFloats } from "../native/decode-batch.ts";
import { GGML_TYPE } from "../native/ggml.ts";
import { callAsync } from "../native/library.ts";
import { LLAMA_FLASH_ATTN_TYPE, type Llama } from "../native/llama.ts";
import type {
  LlamaAdapterPointer,
  LlamaContextPointer,
  LlamaMemoryPointer,
  LlamaModelPointer,
} from "../native/llama-struct.ts";

/** How keys and values are kept: 16-bit floats, or blocks of 32 in 8 bits each (17 bits for two numbers' 32). */
export type CacheType = "f16" | "q8_0";

/** What a context is made for. */
export type ContextShape = {
  /** KV cells of all sequences together, tokens; a sequence's part is rounded up to a multiple of 256 by llama.cpp. */
  readonly cells: number;
  readonly sequences: number;
  /** Whether any sequence may take any cell; otherwise each has an equal part of its own. */
  readonly pooled: boolean;
  readonly cacheType: CacheType;
  /** Most tokens of one decode. */
  readonly batchTokens: number;
  readonly threads: number;
  readonly batchThreads: number;
  /** The vocabulary's size: [vocabulary] is a row of logits. */
  readonly vocabularySize: number;
};

/** One context. Calls must not overlap; `dispose` only when none runs. */
export class LlamaContext implements AsyncDisposable {
  readonly shape: ContextShape;
  readonly pointer: LlamaContextPointer;
  readonly #llama: Llama;
  readonly #memory: LlamaMemoryPointer;
  /** Copies between sequences with cells of their own are carried out within the next decode. */
  #copiesPending = false;
  #free = false;

  private constructor(llama: Llama, pointer: LlamaContextPointer, shape: ContextShape) {
    this.#llama = llama;
    this.pointer = pointer;
    this.shape = shape;
    this.#memory = llama.llama_get_memory(pointer);
  }

  /**
   * Allocates a context on a worker thread.
   * @throws CodedError `out_of_memory`
   */
  static async open(
    llama: Llama,
    model: LlamaModelPointer,
    shape: ContextShape,
  ): Promise<LlamaContext> {
    const params = {
      ...llama.llama_context_default_params(),
      n_ctx: shape.cells,
      n_batch: shape.batchTokens,
      n_ubatch: shape.batchTokens,
      n_seq_max: shape.sequences,
      n_outputs_max: shape.sequences,
      n_threads: shape.threads,
      n_threads_batch: shape.batchThreads,
      kv_unified: shape.pooled,
      type_k: GGML_TYPE[shape.cacheType],
      type_v: GGML_TYPE[shape.cacheType],
      // Quantised values need it; otherwise llama.cpp finds out what the device can do.
      flash_attn_type: LLAMA_FLASH_ATTN_TYPE[shape.cacheType === "f16" ? "auto" : "enabled"],
    };
    const pointer = await callAsync(llama.llama_init_from_model, model, params);
    if (pointer === null) {
      throw new CodedError(
        `There is not enough memory for ${shape.sequences} conversations with ${shape.cells} tokens together. Lower STREAMS or CONTEXT_TOKENS, or set KV_TYPE=q8_0.`,
        { code: "out_of_memory" },
      );
    }
    return new LlamaContext(llama, pointer, shape);
  }

  /** Attaches one adapter at full strength. @throws CodedError `native_failed` */
  attach(adapter: LlamaAdapterPointer): void {
    const failed = this.#llama.llama_set_adapters_lora(
      this.pointer,
      BigUint64Array.of(adapter),
      1,
      Float32Array.of(1),
    );
    if (failed !== 0) {
      throw new CodedError(`llama_set_adapters_lora returned ${failed}. Restart the engine.`, {
        code: "native_failed",
      });
    }
  }

  /**
   * Computes a batch, for as long as it takes: on a thread that has nothing else to do. Afterwards rows that asked
   * for logits can be sampled.
   * @throws CodedError `native_failed`; the caller must then clear the sequences of the batch
   */
  decode(batch: DecodeBatch): void {
    this.#checkBatch(batch);
    this.#finish(this.#llama.llama_decode(this.pointer, batch.struct()));
  }

  /**
   * The same beside this thread, while another context computes. Neither the context nor the batch may be touched
   * until it settles.
   * @throws CodedError `native_failed`, as `decode`
   */
  async decodeAside(batch: DecodeBatch): Promise<void> {
    this.#checkBatch(batch);
    this.#finish(await callAsync(this.#llama.llama_decode, this.pointer, batch.struct()));
  }

  #checkBatch({ length }: DecodeBatch): void {
    if (length > 0 && length <= this.shape.batchTokens) return;
    throw new RangeError(`a decode takes 1 to ${this.shape.batchTokens} tokens, got ${length}`);
  }

  #finish(status: number): void {
    this.#copiesPending = false;
    if (status === 0) return;
    throw new CodedError(
      `llama_decode returned ${status}. The affected answers ended; others go on.`,
      { code: "native_failed" },
    );
  }

  /** A row of logits, copied. [vocabulary] */
  logits(row: number): Float32Array {
    const address = this.#llama.llama_get_logits_ith(this.pointer, row);
    if (address === null) throw new RangeError(`row ${row} of the last batch has no logits`);
    return readFloats(address, this.shape.vocabularySize);
  }

  /** Forgets a sequence's cells from a position on. */
  truncate(sequence: number, length: number): void {
    this.#checkSequence(sequence);
    this.#llama.llama_memory_seq_rm(this.#memory, sequence, length, -1);
  }

  /** Makes `target` hold what `source` holds, whole; the data is copied within the next decode. */
  copySequence(source: number, target: number): void {
    this.#checkSequence(source);
    this.#checkSequence(target);
    this.#llama.llama_memory_seq_rm(this.#memory, target, -1, -1);
    this.#llama.llama_memory_seq_cp(this.#memory, source, target, -1, -1);
    this.#copiesPending = !this.shape.pooled;
  }

  /**
   * A sequence's KV as bytes.
   * @returns undefined while copies wait for the next decode, since the cells may not hold yet what they will
   */
  saveSequence(sequence: number): Uint8Array | undefined {
    this.#checkSequence(sequence);
    if (this.#copiesPending) return undefined;
    const bytes = this.#llama.llama_state_seq_get_size(this.pointer, sequence);
    const state = new Uint8Array(bytes);
    const saved = this.#llama.llama_state_seq_get_data(this.pointer, state, bytes, sequence);
    return saved === bytes && bytes > 0 ? state : undefined;
  }

  /**
   * Puts a saved KV in place of what a sequence holds.
   * @param state what `saveSequence` of a context of the same shape gave; libllama trusts its insides
   * @returns false when it did not fit; the sequence is empty then
   */
  restoreSequence(sequence: number, state: Uint8Array): boolean {
    this.#checkSequence(sequence);
    this.truncate(sequence, 0);
    if (this.#copiesPending) return false;
    const { byteLength } = state;
    const read = this.#llama.llama_state_seq_set_data(this.pointer, state, byteLength, sequence);
    const isWhole = read === byteLength;
    if (!isWhole) this.truncate(sequence, 0);
    return isWhole;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#free) return;
    this.#free = true;
    await callAsync(this.#llama.llama_free, this.pointer);
  }

  #checkSequence(sequence: number): void {
    if (sequence >= 0 && sequence < this.shape.sequences) return;
    throw new RangeError(`expected a sequence below ${this.shape.sequences}, got ${sequence}`);
  }
}
