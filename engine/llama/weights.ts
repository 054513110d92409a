/**
 * A loaded model's weights as contexts use them: what they take, and the vocabulary. Other threads of the process
 * attach to them by their address; who loads and frees them is for model.ts to know.
 */
import { CodedError } from "../base/errors.ts";
import { freeGpuBytes } from "../native/device-memory.ts";
import { attachLibraries, type NativeLibraries } from "../native/library.ts";
import { bindLlama, type Llama } from "../native/llama.ts";
import type { LlamaModelPointer } from "../native/llama-struct.ts";
import type { CacheType } from "./context.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Bytes of one number in the KV cache; Q8_0 keeps a 16-bit scale beside 32 numbers (ggml-common.h, block_q8_0). */
const CACHE_NUMBER_BYTES: Record<CacheType, number> = { f16: 2, q8_0: 34 / 32 };
const Q8_0_BLOCK = 32;
const F32_BYTES = 4;
/** What a layer's intermediate results take at most, in widths of the model: its feed-forward part is the widest. */
const SCRATCH_WIDTHS = 24;

/** What another thread needs to use the same weights; valid as long as they are loaded. */
export type WeightsAddress = {
  readonly folder: string;
  readonly pointer: LlamaModelPointer;
  readonly path: string;
  readonly gpuLayers: number;
  /** They lie in memory of their own, not in pages of their file. */
  readonly isCopied: boolean;
};

/** See the file's head. */
export class Weights {
  readonly llama: Llama;
  readonly pointer: LlamaModelPointer;
  readonly vocabulary: Vocabulary;
  readonly #libraries: NativeLibraries;
  readonly #path: string;
  readonly #gpuLayers: number;
  readonly #isCopied: boolean;

  /** @throws CodedError `model_invalid` when its vocabulary is of no use */
  constructor(
    libraries: NativeLibraries,
    pointer: LlamaModelPointer,
    { path, gpuLayers, isCopied }: Pick<WeightsAddress, "path" | "gpuLayers" | "isCopied">,
  ) {
    this.#libraries = libraries;
    this.#path = path;
    this.#gpuLayers = gpuLayers;
    this.#isCopied = isCopied;
    this.llama = bindLlama(libraries);
    this.pointer = pointer;
    this.vocabulary = Vocabulary.ofModel(this.llama, pointer, path);
  }

  /** The weights that another thread of this process loaded, which must outlive this. */
  static attach({ folder, pointer, ...facts }: WeightsAddress): Weights {
    return new Weights(attachLibraries(folder), pointer, facts);
  }

  get address(): WeightsAddress {
    const { pointer } = this;
    return {
      folder: this.#libraries.folder,
      pointer,
      path: this.#path,
      gpuLayers: this.#gpuLayers,
      isCopied: this.#isCopied,
    };
  }

  /** Whether any layer is on a GPU. */
  get onGpu(): boolean {
    return this.#gpuLayers > 0;
  }

  get parameters(): number {
    return Number(this.llama.llama_model_n_params(this.pointer));
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
    const onGpus = share === 0 ? 0 : freeGpuBytes(this.#libraries, share * this.bytes);
    if (onGpus > 0) return onGpus / share;
    // Where weights are mapped from their file the system counts their pages as free, though each is needed.
    const counted = this.#isCopied ? 0 : this.bytes;
    return Math.max(0, process.availableMemory() - counted);
  }
}
