/** A model's weights, shared by all contexts, with its vocabulary and the adapters loaded beside it. */
import { CodedError } from "../base/errors.ts";
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
import { isZephyrTemplate } from "./chat-template.ts";
import { checkModelFile } from "./model-file.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Validating every weight reads the whole file: done where that takes no more than a second or two. */
const CHECKED_BYTES = 1 << 30;
const F16_BYTES = 2;

/** Loaded weights. Contexts and adapters must be freed before `dispose`. */
export class LoadedModel implements AsyncDisposable {
  readonly llama: Llama;
  readonly path: string;
  readonly vocabulary: Vocabulary;
  readonly #libraries: NativeLibraries;
  readonly #base: BaseModel;
  /** libllama keeps a list of a model's adapters that is not safe to change from two threads. */
  #lastAdapterCall: Promise<unknown> = Promise.resolve();
  #pointer: LlamaModelPointer | null;

  private constructor(
    libraries: NativeLibraries,
    llama: Llama,
    pointer: LlamaModelPointer,
    path: string,
    base: BaseModel,
  ) {
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
   * @throws CodedError `model_missing`, `model_invalid`
   */
  static async open(
    path: string,
    { libraries, gpuLayers }: { readonly libraries: NativeLibraries; readonly gpuLayers: number },
  ): Promise<LoadedModel> {
    const { base, bytes } = inspect(path, libraries);
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
      assertChatModel(llama, pointer, path);
      return new LoadedModel(libraries, llama, pointer, path, base);
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

  /** The context that the model was trained for, tokens. */
  get trainedTokens(): number {
    return this.llama.llama_model_n_ctx_train(this.pointer);
  }

  /** Memory that one token takes in the KV cache: keys and values of each layer, F16. */
  get cacheBytesPerToken(): number {
    const { llama, pointer } = this;
    const headWidth = llama.llama_model_n_embd(pointer) / llama.llama_model_n_head(pointer);
    const width = headWidth * llama.llama_model_n_head_kv(pointer);
    return llama.llama_model_n_layer(pointer) * width * 2 * F16_BYTES;
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

function inspect(path: string, libraries: NativeLibraries): { base: BaseModel; bytes: number } {
  using file = GgufFile.open(path, libraries);
  checkModelFile(file);
  return {
    base: {
      architecture: file.string("general.architecture"),
      shapes: new Map(file.tensors.map(({ name, ne }) => [name, ne])),
    },
    bytes: file.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
  };
}

function assertChatModel(llama: Llama, pointer: LlamaModelPointer, path: string): void {
  const decodes = llama.llama_model_has_decoder(pointer) && !llama.llama_model_has_encoder(pointer);
  const hasCells =
    !llama.llama_model_is_recurrent(pointer) && !llama.llama_model_is_hybrid(pointer);
  if (!decodes || !hasCells) {
    throw invalid(path, "it is not a decoder-only attention model, such as Mistral");
  }
  if (!isZephyrTemplate(llama.llama_model_chat_template(pointer, null))) {
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
