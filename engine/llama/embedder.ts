/**
 * Vectors of whole texts: the mean of the model's last hidden states, in a context of its own on the bare
 * weights, of length 1. It knows no text, and runs one at a time.
 */
import { CodedError } from "../base/errors.ts";
import { DecodeBatch, readFloats } from "../native/decode-batch.ts";
import { callAsync } from "../native/library.ts";
import type { LlamaContextPointer } from "../native/llama-struct.ts";
import type { LoadedModel } from "./model.ts";

/** llama.h, enum llama_pooling_type */
const POOLING_MEAN = 1;

/** Embeds token sequences. To be disposed before the model. */
export class Embedder implements AsyncDisposable {
  readonly #model: LoadedModel;
  readonly #context: LlamaContextPointer;
  readonly #batch: DecodeBatch;
  /** A context runs one call at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(model: LoadedModel, context: LlamaContextPointer, mostTokens: number) {
    this.#model = model;
    this.#context = context;
    this.#batch = new DecodeBatch(mostTokens);
  }

  /**
   * Opens the context.
   * @param mostTokens of one text; all of them must fit into one micro-batch to be pooled
   * @throws CodedError `out_of_memory`
   */
  static async open(
    model: LoadedModel,
    { mostTokens, threads }: { readonly mostTokens: number; readonly threads: number },
  ): Promise<Embedder> {
    const { llama } = model;
    const params = {
      ...llama.llama_context_default_params(),
      n_ctx: mostTokens,
      n_batch: mostTokens,
      n_ubatch: mostTokens,
      n_seq_max: 1,
      n_threads: threads,
      n_threads_batch: threads,
      pooling_type: POOLING_MEAN,
      embeddings: true,
    };
    const context = await callAsync(llama.llama_init_from_model, model.pointer, params);
    if (context !== null) return new Embedder(model, context, mostTokens);
    throw new CodedError("There is not enough memory for embeddings. Lower CONTEXT_TOKENS.", {
      code: "out_of_memory",
    });
  }

  /** The width of a vector. */
  get width(): number {
    return this.#model.llama.llama_model_n_embd(this.#model.pointer);
  }

  /**
   * The vector of a text. [width]
   * @throws CodedError `prompt_too_long`, `native_failed`
   */
  embed(tokens: Int32Array): Promise<Float32Array> {
    const result = this.#last.then(() => this.#run(tokens));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.#model.llama.llama_free(this.#context);
  }

  async #run(tokens: Int32Array): Promise<Float32Array> {
    const { llama } = this.#model;
    if (tokens.length === 0 || tokens.length > this.#batch.capacity) {
      throw new CodedError(
        `A text to embed has 1 to ${this.#batch.capacity} tokens; this one has ${tokens.length}.`,
        { code: "prompt_too_long" },
      );
    }
    llama.llama_memory_clear(llama.llama_get_memory(this.#context), false);
    this.#batch.clear();
    for (const [position, token] of tokens.entries()) this.#batch.add(token, position, 0, true);
    const status = await callAsync(llama.llama_decode, this.#context, this.#batch.struct());
    const address = status === 0 ? llama.llama_get_embeddings_seq(this.#context, 0) : null;
    if (address === null) {
      throw new CodedError(`llama_decode returned ${status} for an embedding. Try again.`, {
        code: "native_failed",
      });
    }
    return toUnit(readFloats(address, this.width));
  }
}

function toUnit(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  return length === 0 ? vector : vector.map((value) => value / length);
}
