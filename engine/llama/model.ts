/** Loads and frees a model's weights, and the adapters beside them. */
import { CodedError } from "../base/errors.ts";
import { GgufFile } from "../native/gguf.ts";
import { inHugePages } from "../native/huge-pages.ts";
import {
  callAsync,
  type NativeLibraries,
  recentNativeLog,
  withNativeLog,
} from "../native/library.ts";
import { bindLlama, LLAMA_LOAD_MODE, type Llama } from "../native/llama.ts";
import type { LlamaAdapterPointer, LlamaModelPointer } from "../native/llama-struct.ts";
import { type BaseModel, checkAdapterFile } from "./adapter-file.ts";
import { isZephyrTemplate, namesTools } from "./chat-template.ts";
import { checkModelFile, GUARD_ARCHITECTURES } from "./model-file.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { Weights } from "./weights.ts";

/** Validating every weight reads the whole file: done where that takes no more than a second or two. */
const CHECKED_BYTES = 1 << 30;

/**
 * Weights of a small model are copied into memory of their own, in huge pages: all of them are read for each token,
 * and a file's pages are small. Larger ones stay mapped, so that other processes share them and the system may let
 * go of them.
 */
const COPIED_BYTES = 1 << 30;
const COPIED_SHARE = 1 / 4;

/** What a model is loaded for. */
export type ModelUse = "chat" | "guard";

/** Loaded weights. Contexts and adapters must be freed before `dispose`. */
export class LoadedModel implements AsyncDisposable {
  readonly path: string;
  readonly weights: Weights;
  readonly #libraries: NativeLibraries;
  readonly #base: BaseModel;
  /** libllama keeps a list of a model's adapters that is not safe to change from two threads. */
  #lastAdapterCall: Promise<unknown> = Promise.resolve();
  #isFreed = false;

  private constructor(libraries: NativeLibraries, weights: Weights, path: string, base: BaseModel) {
    this.#libraries = libraries;
    this.weights = weights;
    this.path = path;
    this.#base = base;
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
    const isCopied =
      gpuLayers === 0 && bytes <= Math.min(COPIED_BYTES, COPIED_SHARE * process.availableMemory());
    const params = {
      ...llama.llama_model_default_params(),
      n_gpu_layers: gpuLayers,
      load_mode: LLAMA_LOAD_MODE[isCopied ? "none" : "auto"],
      check_tensors: bytes <= CHECKED_BYTES,
    };
    // On the main thread: nothing is served yet, and only here a failure's reason can be heard.
    const load = () => llama.llama_model_load_from_file(path, params);
    const pointer = withNativeLog(libraries, () => (isCopied ? inHugePages(load) : load()));
    if (pointer === null) {
      throw invalid(path, `libllama refused it (${recentNativeLog().at(-1) ?? "no reason given"})`);
    }
    try {
      assertUsable(llama, pointer, path, use);
      const weights = new Weights(libraries, pointer, { path, gpuLayers, isCopied });
      return new LoadedModel(libraries, weights, path, base);
    } catch (error) {
      llama.llama_model_free(pointer);
      throw error;
    }
  }

  get llama(): Llama {
    return this.weights.llama;
  }

  get vocabulary(): Vocabulary {
    return this.weights.vocabulary;
  }

  get pointer(): LlamaModelPointer {
    if (this.#isFreed) throw new Error(`${this.path} was freed already`);
    return this.weights.pointer;
  }

  /** Whether the file's own chat template, or one beside it for that purpose, has a place for tools. */
  get hasToolTemplate(): boolean {
    const { llama, pointer } = this;
    if (llama.llama_model_chat_template(pointer, "tool_use") !== null) return true;
    return namesTools(llama.llama_model_chat_template(pointer, null));
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
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.vocabulary[Symbol.dispose]();
    await callAsync(this.llama.llama_model_free, this.weights.pointer);
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
