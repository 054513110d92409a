/**
 * libllama's functions under their own names (llama.h of the pinned release): models, vocabularies, contexts,
 * memory, adapters, decoding. Nothing is checked here but the struct layouts: libllama aborts the process on
 * some bad arguments, so callers go through engine/llama. Samplers are in llama-sampler.ts.
 */
import koffi, { type LibraryHandle } from "koffi";
import { CodedError } from "../base/errors.ts";
import { bind, P, SIZE } from "./ggml-pointer.ts";
import type { NativeLibraries } from "./library.ts";
import { bindSamplers } from "./llama-sampler.ts";
import {
  assertKnownDefaults,
  BATCH,
  type Batch,
  CONTEXT_PARAMS,
  type ContextParams,
  type LlamaAdapterPointer,
  type LlamaContextPointer,
  type LlamaMemoryPointer,
  type LlamaModelPointer,
  type LlamaVocabPointer,
  MODEL_PARAMS,
  type ModelParams,
} from "./llama-struct.ts";

/** enum llama_vocab_type: what this project serves. */
export const LLAMA_VOCAB_TYPE = { none: 0, spm: 1, bpe: 2 } as const;
/** enum llama_load_mode: `auto` maps the file where it can. */
export const LLAMA_LOAD_MODE = { auto: -1, none: 0 } as const;
/** enum llama_flash_attn_type */
export const LLAMA_FLASH_ATTN_TYPE = { auto: -1, disabled: 0, enabled: 1 } as const;

type Model = LlamaModelPointer;
type Vocab = LlamaVocabPointer;
type Context = LlamaContextPointer;
type Memory = LlamaMemoryPointer;
type Adapter = LlamaAdapterPointer;
type Token = number;

/** All of libllama that the project calls; see llama.h for what each function means. */
export type Llama = ReturnType<typeof bindAll>;

const bound = new WeakMap<LibraryHandle, Llama>();

/**
 * Binds libllama's functions of the given libraries, once for each library.
 * @throws CodedError `library_incompatible` when the structs' default values are not the known ones
 */
export function bindLlama(libraries: NativeLibraries): Llama {
  const known = bound.get(libraries.llama);
  if (known !== undefined) return known;
  const llama = bindAll(libraries.llama);
  try {
    assertKnownDefaults(llama.llama_model_default_params(), llama.llama_context_default_params());
  } catch (error) {
    throw new CodedError(
      `libllama in ${libraries.folder} is not the release that this project was written for: ${error instanceof Error ? error.message : String(error)}. Install the pinned node-llama-cpp with "npm ci".`,
      { code: "library_incompatible", cause: error },
    );
  }
  llama.llama_backend_init();
  bound.set(libraries.llama, llama);
  return llama;
}

function bindAll(lib: LibraryHandle) {
  return {
    ...bindModels(lib),
    ...bindModelFacts(lib),
    ...bindVocabularies(lib),
    ...bindText(lib),
    ...bindContexts(lib),
    ...bindDecoding(lib),
    ...bindMemory(lib),
    ...bindStates(lib),
    ...bindAdapters(lib),
    ...bindSamplers(lib),
  };
}

function bindModels(lib: LibraryHandle) {
  return {
    llama_version: bind<[], string>(lib, "llama_version", "str", []),
    llama_backend_init: bind<[], void>(lib, "llama_backend_init", "void", []),
    llama_model_default_params: bind<[], ModelParams>(
      lib,
      "llama_model_default_params",
      MODEL_PARAMS,
      [],
    ),
    /** Null when the file is not usable; the reason is in the native log. */
    llama_model_load_from_file: bind<[path: string, ModelParams], Model | null>(
      lib,
      "llama_model_load_from_file",
      P,
      ["str", MODEL_PARAMS],
    ),
    llama_model_free: bind<[Model], void>(lib, "llama_model_free", "void", [P]),
  };
}

function bindModelFacts(lib: LibraryHandle) {
  const count = (name: string) => bind<[Model], number>(lib, name, "int32_t", [P]);
  return {
    llama_model_n_ctx_train: count("llama_model_n_ctx_train"),
    llama_model_n_embd: count("llama_model_n_embd"),
    llama_model_n_layer: count("llama_model_n_layer"),
    llama_model_n_head: count("llama_model_n_head"),
    llama_model_n_head_kv: count("llama_model_n_head_kv"),
    llama_model_n_params: bind<[Model], number>(lib, "llama_model_n_params", "uint64_t", [P]),
    llama_model_size: bind<[Model], number>(lib, "llama_model_size", "uint64_t", [P]),
    llama_model_has_decoder: bind<[Model], boolean>(lib, "llama_model_has_decoder", "bool", [P]),
    llama_model_has_encoder: bind<[Model], boolean>(lib, "llama_model_has_encoder", "bool", [P]),
    llama_model_is_recurrent: bind<[Model], boolean>(lib, "llama_model_is_recurrent", "bool", [P]),
    llama_model_is_hybrid: bind<[Model], boolean>(lib, "llama_model_is_hybrid", "bool", [P]),
    llama_model_get_vocab: bind<[Model], Vocab>(lib, "llama_model_get_vocab", P, [P]),
    llama_model_chat_template: bind<[Model, name: string | null], string | null>(
      lib,
      "llama_model_chat_template",
      "str",
      [P, "str"],
    ),
  };
}

function bindVocabularies(lib: LibraryHandle) {
  const ofToken = ["void *", "int32_t"];
  const special = (name: string) => bind<[Vocab], Token>(lib, name, "int32_t", [P]);
  return {
    llama_vocab_type: bind<[Vocab], number>(lib, "llama_vocab_type", "int", [P]),
    llama_vocab_n_tokens: bind<[Vocab], number>(lib, "llama_vocab_n_tokens", "int32_t", [P]),
    llama_vocab_bos: special("llama_vocab_bos"),
    llama_vocab_eos: special("llama_vocab_eos"),
    llama_vocab_get_add_bos: bind<[Vocab], boolean>(lib, "llama_vocab_get_add_bos", "bool", [P]),
    llama_vocab_is_eog: bind<[Vocab, Token], boolean>(lib, "llama_vocab_is_eog", "bool", ofToken),
    llama_vocab_is_control: bind<[Vocab, Token], boolean>(
      lib,
      "llama_vocab_is_control",
      "bool",
      ofToken,
    ),
  };
}

function bindText(lib: LibraryHandle) {
  return {
    /** Negative: minus the room needed. */
    llama_tokenize: bind<
      [Vocab, Uint8Array, number, Int32Array, number, addSpecial: boolean, parseSpecial: boolean],
      number
    >(lib, "llama_tokenize", "int32_t", [P, P, "int32_t", P, "int32_t", "bool", "bool"]),
    llama_token_to_piece: bind<
      [Vocab, Token, Uint8Array, length: number, lstrip: number, special: boolean],
      number
    >(lib, "llama_token_to_piece", "int32_t", [P, "int32_t", P, "int32_t", "int32_t", "bool"]),
    llama_detokenize: bind<
      [Vocab, Int32Array, number, Uint8Array, number, removeSpecial: boolean, special: boolean],
      number
    >(lib, "llama_detokenize", "int32_t", [P, P, "int32_t", P, "int32_t", "bool", "bool"]),
    /** llama.cpp's list of hard-wired templates; it reads no Jinja. `messages` is what `chatMessages` made. */
    llama_chat_apply_template: bind<
      [string | null, readonly RoleContent[], number, addAssistant: boolean, Uint8Array, number],
      number
    >(lib, "llama_chat_apply_template", "int32_t", [
      "str",
      koffi.pointer(koffi.struct({ role: "str", content: "str" })),
      SIZE,
      "bool",
      P,
      "int32_t",
    ]),
  };
}

type RoleContent = { readonly role: string; readonly content: string };

function bindContexts(lib: LibraryHandle) {
  const size = (name: string) => bind<[Context], number>(lib, name, "uint32_t", [P]);
  return {
    llama_context_default_params: bind<[], ContextParams>(
      lib,
      "llama_context_default_params",
      CONTEXT_PARAMS,
      [],
    ),
    /** Null when there is not enough memory; the reason is in the native log. */
    llama_init_from_model: bind<[Model, ContextParams], Context | null>(
      lib,
      "llama_init_from_model",
      P,
      [P, CONTEXT_PARAMS],
    ),
    llama_free: bind<[Context], void>(lib, "llama_free", "void", [P]),
    llama_n_ctx_seq: size("llama_n_ctx_seq"),
    llama_n_batch: size("llama_n_batch"),
    llama_n_ubatch: size("llama_n_ubatch"),
    llama_n_seq_max: size("llama_n_seq_max"),
    llama_set_n_threads: bind<[Context, decoding: number, batches: number], void>(
      lib,
      "llama_set_n_threads",
      "void",
      [P, "int32_t", "int32_t"],
    ),
  };
}

function bindDecoding(lib: LibraryHandle) {
  return {
    /** 0 done, 1 no room in the KV cache, 2 aborted, negative an error. Aborts when n_tokens is above n_batch. */
    llama_decode: bind<[Context, Batch], number>(lib, "llama_decode", "int32_t", [P, BATCH]),
    llama_synchronize: bind<[Context], void>(lib, "llama_synchronize", "void", [P]),
    /** The pooled vector of a sequence of the last decode, [n_embd]; null where the context pools none. */
    llama_get_embeddings_seq: bind<[Context, sequence: number], bigint | null>(
      lib,
      "llama_get_embeddings_seq",
      P,
      [P, "int32_t"],
    ),
    llama_get_logits_ith: bind<[Context, row: number], bigint | null>(
      lib,
      "llama_get_logits_ith",
      P,
      [P, "int32_t"],
    ),
  };
}

function bindMemory(lib: LibraryHandle) {
  type Range = [Memory, sequence: number, from: number, to: number];
  return {
    llama_get_memory: bind<[Context], Memory>(lib, "llama_get_memory", P, [P]),
    llama_memory_clear: bind<[Memory, data: boolean], void>(lib, "llama_memory_clear", "void", [
      P,
      "bool",
    ]),
    llama_memory_seq_rm: bind<Range, boolean>(lib, "llama_memory_seq_rm", "bool", [
      P,
      "int32_t",
      "int32_t",
      "int32_t",
    ]),
    /** Between sequences with cells of their own (kv_unified false) only the whole: from -1 to -1. */
    llama_memory_seq_cp: bind<
      [Memory, source: number, target: number, from: number, to: number],
      void
    >(lib, "llama_memory_seq_cp", "void", [P, "int32_t", "int32_t", "int32_t", "int32_t"]),
    /** -1 for an empty sequence. */
    llama_memory_seq_pos_max: bind<[Memory, sequence: number], number>(
      lib,
      "llama_memory_seq_pos_max",
      "int32_t",
      [P, "int32_t"],
    ),
  };
}

function bindStates(lib: LibraryHandle) {
  return {
    llama_state_seq_get_size: bind<[Context, sequence: number], number>(
      lib,
      "llama_state_seq_get_size",
      SIZE,
      [P, "int32_t"],
    ),
    /** Bytes written; 0 when the room is too small. */
    llama_state_seq_get_data: bind<[Context, Uint8Array, size: number, sequence: number], number>(
      lib,
      "llama_state_seq_get_data",
      SIZE,
      [P, P, SIZE, "int32_t"],
    ),
    /** Bytes read; 0 when the state does not fit this context. */
    llama_state_seq_set_data: bind<[Context, Uint8Array, size: number, sequence: number], number>(
      lib,
      "llama_state_seq_set_data",
      SIZE,
      [P, P, SIZE, "int32_t"],
    ),
  };
}

function bindAdapters(lib: LibraryHandle) {
  return {
    /** Null when the file does not fit the model; the reason is in the native log. */
    llama_adapter_lora_init: bind<[Model, path: string], Adapter | null>(
      lib,
      "llama_adapter_lora_init",
      P,
      [P, "str"],
    ),
    llama_adapter_lora_free: bind<[Adapter], void>(lib, "llama_adapter_lora_free", "void", [P]),
    llama_set_adapters_lora: bind<
      [Context, adapters: BigUint64Array, count: number, scales: Float32Array],
      number
    >(lib, "llama_set_adapters_lora", "int32_t", [P, P, SIZE, P]),
  };
}
