/**
 * The structs that libllama takes and gives by value, laid out as in llama.h of the pinned release, the values
 * that they must hold by default, and the pointers that libllama hands out, told apart by type.
 */
import koffi from "koffi";

/** `struct llama_model *` */
export type LlamaModelPointer = bigint & { readonly pointee?: "llama_model" };
/** `const struct llama_vocab *` */
export type LlamaVocabPointer = bigint & { readonly pointee?: "llama_vocab" };
/** `struct llama_context *` */
export type LlamaContextPointer = bigint & { readonly pointee?: "llama_context" };
/** `llama_memory_t` */
export type LlamaMemoryPointer = bigint & { readonly pointee?: "llama_memory_i" };
/** `struct llama_adapter_lora *` */
export type LlamaAdapterPointer = bigint & { readonly pointee?: "llama_adapter_lora" };
/** `struct llama_sampler *` */
export type LlamaSamplerPointer = bigint & { readonly pointee?: "llama_sampler" };

type Pointer = bigint | null;

/** struct llama_model_params */
export type ModelParams = {
  readonly devices: Pointer;
  readonly tensor_buft_overrides: Pointer;
  /** Layers on the GPU; negative for all. */
  readonly n_gpu_layers: number;
  readonly split_mode: number;
  readonly load_mode: number;
  readonly lazy_mode: number;
  readonly main_gpu: number;
  readonly tensor_split: Pointer;
  readonly progress_callback: Pointer;
  readonly progress_callback_user_data: Pointer;
  readonly kv_overrides: Pointer;
  readonly vocab_only: boolean;
  readonly check_tensors: boolean;
  readonly use_extra_bufts: boolean;
  readonly no_host: boolean;
  readonly no_alloc: boolean;
  readonly load_mtp: boolean;
};

/** struct llama_model_params */
export const MODEL_PARAMS = koffi.struct({
  devices: "void *",
  tensor_buft_overrides: "void *",
  n_gpu_layers: "int32_t",
  split_mode: "int",
  load_mode: "int",
  lazy_mode: "int",
  main_gpu: "int32_t",
  tensor_split: "void *",
  progress_callback: "void *",
  progress_callback_user_data: "void *",
  kv_overrides: "void *",
  vocab_only: "bool",
  check_tensors: "bool",
  use_extra_bufts: "bool",
  no_host: "bool",
  no_alloc: "bool",
  load_mtp: "bool",
});

/** struct llama_context_params, as far as this project sets or checks it. */
export type ContextParams = {
  /** Cells of the KV cache for all sequences together. */
  readonly n_ctx: number;
  /** Most tokens that one llama_decode takes. */
  readonly n_batch: number;
  /** Most tokens of one micro-batch. */
  readonly n_ubatch: number;
  readonly n_seq_max: number;
  readonly n_outputs_max: number;
  readonly n_outputs_max_per_seq: number;
  readonly n_threads: number;
  readonly n_threads_batch: number;
  /** enum llama_pooling_type; -1 takes the model's own. */
  readonly pooling_type: number;
  readonly embeddings: boolean;
  readonly flash_attn_type: number;
  readonly yarn_ext_factor: number;
  /** enum ggml_type */
  readonly type_k: number;
  readonly type_v: number;
  readonly offload_kqv: boolean;
  readonly no_perf: boolean;
  readonly op_offload: boolean;
  readonly swa_full: boolean;
  /** One pool of cells for all sequences, instead of each its own. */
  readonly kv_unified: boolean;
};

/** struct llama_context_params */
export const CONTEXT_PARAMS = koffi.struct({
  n_ctx: "uint32_t",
  n_batch: "uint32_t",
  n_ubatch: "uint32_t",
  n_seq_max: "uint32_t",
  n_rs_seq: "uint32_t",
  n_outputs_max: "uint32_t",
  n_outputs_max_per_seq: "uint32_t",
  n_threads: "int32_t",
  n_threads_batch: "int32_t",
  ctx_type: "int",
  rope_scaling_type: "int",
  pooling_type: "int",
  attention_type: "int",
  flash_attn_type: "int",
  rope_freq_base: "float",
  rope_freq_scale: "float",
  yarn_ext_factor: "float",
  yarn_attn_factor: "float",
  yarn_beta_fast: "float",
  yarn_beta_slow: "float",
  yarn_orig_ctx: "uint32_t",
  defrag_thold: "float",
  cb_eval: "void *",
  cb_eval_user_data: "void *",
  type_k: "int",
  type_v: "int",
  abort_callback: "void *",
  abort_callback_data: "void *",
  embeddings: "bool",
  offload_kqv: "bool",
  no_perf: "bool",
  op_offload: "bool",
  swa_full: "bool",
  kv_unified: "bool",
  samplers: "void *",
  n_samplers: "size_t",
  ctx_other: "void *",
});

/** struct llama_batch; the addresses must stay valid until the call returns. */
export type Batch = {
  readonly n_tokens: number;
  readonly token: bigint;
  readonly embd: null;
  readonly pos: bigint;
  readonly n_seq_id: bigint;
  readonly seq_id: bigint;
  readonly logits: bigint;
};

/** struct llama_batch */
export const BATCH = koffi.struct({
  n_tokens: "int32_t",
  token: "void *",
  embd: "void *",
  pos: "void *",
  n_seq_id: "void *",
  seq_id: "void *",
  logits: "void *",
});

const MODEL_DEFAULTS: Partial<ModelParams> = {
  n_gpu_layers: -1,
  split_mode: 1,
  load_mode: -1,
  lazy_mode: 1,
  main_gpu: 0,
  tensor_split: null,
  kv_overrides: null,
  vocab_only: false,
  check_tensors: false,
  use_extra_bufts: true,
  no_host: false,
  no_alloc: false,
  load_mtp: false,
};

const CONTEXT_DEFAULTS: Partial<ContextParams> = {
  n_ctx: 512,
  n_batch: 2048,
  n_ubatch: 512,
  n_seq_max: 1,
  n_outputs_max: 0,
  n_outputs_max_per_seq: 1,
  flash_attn_type: -1,
  yarn_ext_factor: -1,
  type_k: 1,
  type_v: 1,
  offload_kqv: true,
  no_perf: true,
  op_offload: true,
  swa_full: true,
  kv_unified: false,
};

/**
 * Compares what the library gives as defaults with what this release is known to give: a field that moved
 * shows here, before any call could act on a wrong one.
 * @throws Error naming the first difference
 */
export function assertKnownDefaults(model: ModelParams, context: ContextParams): void {
  assertFields("llama_model_params", model, MODEL_DEFAULTS);
  assertFields("llama_context_params", context, CONTEXT_DEFAULTS);
}

function assertFields(struct: string, found: object, expected: object): void {
  const values = new Map<string, unknown>(Object.entries(found));
  for (const [field, value] of Object.entries(expected)) {
    if (values.get(field) !== value) {
      throw new Error(
        `expected ${struct}.${field} to default to ${value}, found ${values.get(field)}`,
      );
    }
  }
}
