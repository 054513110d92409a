/** A model's weights, shared by all contexts, with its vocabulary and the adapters loaded beside it. */
import { CodedError } from "../base/errors.ts";
import { freeGpuBytes } from "../native/device-memory.ts";
import { GgufFile } from "../native/gguf.ts";
import {
  callAsync,
  type NativeLibraries,
  recentNativeLog,
  withNativeLog,
} from "../native/library.ts";
import { bindLlama, type Llama } from "../native/llama.ts";
import type { LlamaAdapterPointer, LlamaModelPointer } from "../native/llama-struct.ts";
import { type BaseModel, checkAdapterFile } from "./adapter-file.ts";
import { isZephyrTemplate, namesTools } from "./chat-template.ts";
import type { CacheType } from "./context.ts";
import { checkModelFile, GUARD_ARCHITECTURES } from "./model-file.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Validating every weight reads the whole file: done where that takes no more than a second or two. */
const CHECKED_BYTES = 1 << 30;
/** Bytes of one number in the KV cache; Q8_0 keeps a 16-bit scale beside 32 numbers (ggml-common.h, block_q8_0). */
const CACHE_NUMBER_BYTES: Record<CacheType, number> = { f16: 2, q8_0: 34 / 32 };
const Q8_0_BLOCK = 32;
const F32_BYTES = 4;
/** What a layer's intermediate results take at most, in widths of the model: its feed-forward part is the widest. */
const SCRATCH_WIDTHS = 24;

/** What a model is loaded for. */
export type ModelUse = "chat" | "guard";

/** Loaded weights. Contexts and adapters must be freed before `dispose`. */
export class LoadedModel implements AsyncDisposable {
  readonly llama: Llama;
  readonly path: string;
  readonly vocabulary: Vocabulary;
  readonly #libraries: NativeLibraries;
  readonly #base: BaseModel;
  readonly #gpuLayers: number;
  /** libllama keeps a list of a model's adapters that is not safe to change from two threads. */
  #lastAdapterCall: Promise<unknown> = Promise.resolve();
  #pointer: LlamaModelPointer | null;

  private constructor(
    libraries: NativeLibraries,
    llama: Llama,
    pointer: LlamaModelPointer,
    path: string,
    { base, gpuLayers }: { readonly base: BaseModel; readonly gpuLayers: number },
  ) {
    this.#gpuLayers = gpuLayers;
    this.#libraries = libraries;
    this.llama = llama;
    this.#pointer = pointer;
    this.path = path;
    this.#base = base;
    this.vocabulary = Vocabulary.ofModel(llama, pointer, path);
  }

  /**
   * Loads a GGUF; the event loop waits for it.
   * @param gpuLayers layers on the GPU; ignored by the CPU build
   * @param use a guard model may be of another architecture and have a template of its own
   * @throws CodedError `model_missing`, `model_invalid`
   */
  static async open(
    path: string,
    {
      libraries,
      gpuLayers,
      use = "chat",
    }: {
      readonly libraries: NativeLibraries;
      readonly gpuLayers: number;
      readonly use?: ModelUse;
    },
  ): Promise<LoadedModel> {
    const { base, bytes } = inspect(path, libraries, use);
    const llama = bindLlama(libraries);
    const params = {
      ...llama.llama_model_default_params(),
      n_gpu_layers: gpuLayers,
      check_tensors: bytes <= CHECKED_BYTES,
    };
    // On the main thread: nothing is served yet, and only here a failure's reason can be heard.
    const pointer = withNativeLog(libraries, () => llama.llama_model_load_from_file(path, params));
    if (pointer === null) {
      throw invalid(path, `libllama refused it (${recentNativeLog().at(-1) ?? "no reason given"})`);
    }
    try {
      assertUsable(llama, pointer, path, use);
      return new LoadedModel(libraries, llama, pointer, path, { base, gpuLayers });
    } catch (error) {
      llama.llama_model_free(pointer);
      throw error;
    }
  }

  get pointer(): LlamaModelPointer {
    if (this.#pointer === null) throw new Error(`${this.path} was freed already`);
    return this.#pointer;
  }

  get parameters(): number {
    return Number(this.llama.llama_model_n_params(this.pointer));
  }

  /** Whether the file's own chat template, or one beside it for that purpose, has a place for tools. */
  get hasToolTemplate(): boolean {
    const { llama, pointer } = this;
    if (llama.llama_model_chat_template(pointer, "tool_use") !== null) return true;
    return namesTools(llama.llama_model_chat_template(pointer, null));
  }

  /** The context that the model was trained for, tokens. */
  get trainedTokens(): number {
    return this.llama.llama_model_n_ctx_train(this.pointer);
  }

  /** Bytes of the weights. */
  get bytes(): number {
    return this.llama.llama_model_size(this.pointer);
  }

  /**
   * Bytes that one token takes in the KV cache: keys and values of each layer.
   * @throws CodedError `config_invalid` when the type does not fit the model's heads
   */
  cacheBytesPerToken(type: CacheType): number {
    const { llama, pointer } = this;
    const headWidth = llama.llama_model_n_embd(pointer) / llama.llama_model_n_head(pointer);
    if (type === "q8_0" && headWidth % Q8_0_BLOCK !== 0) {
      throw new CodedError(
        `KV_TYPE=q8_0 needs attention heads of a multiple of ${Q8_0_BLOCK} numbers, this model's have ${headWidth}. Set KV_TYPE=f16.`,
        { code: "config_invalid" },
      );
    }
    const width = headWidth * llama.llama_model_n_head_kv(pointer);
    return llama.llama_model_n_layer(pointer) * width * 2 * CACHE_NUMBER_BYTES[type];
  }

  /** Roughly the bytes of one computation's buffers: rows of logits, twice, and a layer's intermediate results. */
  scratchBytes(batchTokens: number, outputs: number): number {
    const logits = 2 * outputs * this.vocabulary.size;
    const layer = batchTokens * SCRATCH_WIDTHS * this.llama.llama_model_n_embd(this.pointer);
    return F32_BYTES * (logits + layer);
  }

  /** Bytes that are free beside the weights, on the GPUs where the layers are there. */
  availableBytes(): number {
    const share = Math.min(1, this.#gpuLayers / this.llama.llama_model_n_layer(this.pointer));
    const onGpus = share === 0 ? 0 : freeGpuBytes(this.#libraries);
    if (onGpus > 0) return onGpus / share;
    // Weights are mapped from their file: the system counts their pages as free, though each is needed.
    return Math.max(0, process.availableMemory() - this.bytes);
  }

  /**
   * Loads an adapter's weights beside the model's.
   * @throws CodedError `adapter_corrupt`, `adapter_incompatible`
   */
  async loadAdapter(path: string): Promise<LlamaAdapterPointer> {
    await checkAdapterFile(path, this.#base, this.#libraries);
    const adapter = await this.#oneByOne(() =>
      callAsync(this.llama.llama_adapter_lora_init, this.pointer, path),
    );
    if (adapter !== null) return adapter;
    throw new CodedError(
      `libllama refused the adapter ${path}. Train it again, or activate another one.`,
      { code: "adapter_incompatible" },
    );
  }

  /** Frees an adapter that no context uses any more. */
  async freeAdapter(adapter: LlamaAdapterPointer): Promise<void> {
    await this.#oneByOne(() => callAsync(this.llama.llama_adapter_lora_free, adapter));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastAdapterCall;
    const pointer = this.#pointer;
    this.#pointer = null;
    this.vocabulary[Symbol.dispose]();
    if (pointer !== null) await callAsync(this.llama.llama_model_free, pointer);
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastAdapterCall.then(work);
    this.#lastAdapterCall = result.catch(() => undefined);
    return result;
  }
}

function inspect(
  path: string,
  libraries: NativeLibraries,
  use: ModelUse,
): { base: BaseModel; bytes: number } {
  using file = GgufFile.open(path, libraries);
  checkModelFile(file, use === "guard" ? GUARD_ARCHITECTURES : undefined);
  return {
    base: {
      architecture: file.string("general.architecture"),
      shapes: new Map(file.tensors.map(({ name, ne }) => [name, ne])),
    },
    bytes: file.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
  };
}

function assertUsable(llama: Llama, pointer: LlamaModelPointer, path: string, use: ModelUse): void {
  const decodes = llama.llama_model_has_decoder(pointer) && !llama.llama_model_has_encoder(pointer);
  const hasCells =
    !llama.llama_model_is_recurrent(pointer) && !llama.llama_model_is_hybrid(pointer);
  if (!decodes || !hasCells) {
    throw invalid(path, "it is not a decoder-only attention model, such as Mistral");
  }
  if (use === "chat" && !isZephyrTemplate(llama.llama_model_chat_template(pointer, null))) {
    throw invalid(
      path,
      "its chat template is not Zephyr's (<|user|>, <|assistant|> and EOS); answers would be garbled",
    );
  }
}

function invalid(path: string, why: string): CodedError {
  return new CodedError(
    `${path} is not a usable model: ${why}. Use a GGUF of Zephyr or of its family.`,
    { code: "model_invalid" },
  );
}
