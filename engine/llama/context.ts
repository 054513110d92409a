/**
 * A llama_context: KV cells for a number of sequences under one set of weights, and the checks that keep libllama
 * from aborting. It knows nothing of conversations, and only ever runs one call at a time.
 */
import { CodedError } from "../base/errors.ts";
import { type DecodeBatch, readFloats } from "../native/decode-batch.ts";
import { callAsync } from "../native/library.ts";
import type { Llama } from "../native/llama.ts";
import type {
  LlamaAdapterPointer,
  LlamaContextPointer,
  LlamaMemoryPointer,
  LlamaModelPointer,
} from "../native/llama-struct.ts";

/** What a context is made for. */
export type ContextShape = {
  /** KV cells of each sequence, tokens; rounded up to a multiple of 256 by llama.cpp. */
  readonly sequenceTokens: number;
  readonly sequences: number;
  /** Most tokens of one decode. */
  readonly batchTokens: number;
  readonly threads: number;
  readonly batchThreads: number;
  /** Whether decodes run on a device that works on after llama_decode returns. */
  readonly asynchronous: boolean;
  /** The vocabulary's size: [vocabulary] is a row of logits. */
  readonly vocabularySize: number;
};

/** One context. Calls must not overlap; `dispose` only when none runs. */
export class LlamaContext implements AsyncDisposable {
  readonly shape: ContextShape;
  readonly pointer: LlamaContextPointer;
  readonly #llama: Llama;
  readonly #memory: LlamaMemoryPointer;
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
      n_ctx: shape.sequenceTokens * shape.sequences,
      n_batch: shape.batchTokens,
      n_ubatch: shape.batchTokens,
      n_seq_max: shape.sequences,
      n_outputs_max: shape.sequences,
      n_threads: shape.threads,
      n_threads_batch: shape.batchThreads,
    };
    const pointer = await callAsync(llama.llama_init_from_model, model, params);
    if (pointer === null) {
      throw new CodedError(
        `There is not enough memory for ${shape.sequences} conversations of ${shape.sequenceTokens} tokens. Lower STREAMS or CONTEXT_TOKENS.`,
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
   * Computes a batch on a worker thread; afterwards rows that asked for logits can be sampled.
   * @throws CodedError `native_failed`; the caller must then clear the sequences of the batch
   */
  async decode(batch: DecodeBatch): Promise<void> {
    if (batch.length === 0 || batch.length > this.shape.batchTokens) {
      throw new RangeError(
        `a decode takes 1 to ${this.shape.batchTokens} tokens, got ${batch.length}`,
      );
    }
    const status = await callAsync(this.#llama.llama_decode, this.pointer, batch.struct());
    if (status !== 0) {
      throw new CodedError(
        `llama_decode returned ${status}. The affected answers ended; others go on.`,
        { code: "native_failed" },
      );
    }
    // A GPU may still be at work: waiting here, on a worker, keeps sampling from blocking the event loop.
    if (this.shape.asynchronous) await callAsync(this.#llama.llama_synchronize, this.pointer);
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
