/** Log-probabilities by libllama's own evaluation of a file, to hold the trainer's against. */
import { DecodeBatch, readFloats } from "#engine/native/decode-batch.ts";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { NativeLibraries } from "#engine/native/library.ts";
import { bindLlama, LLAMA_FLASH_ATTN_TYPE, type Llama } from "#engine/native/llama.ts";
import type { LlamaContextPointer } from "#engine/native/llama-struct.ts";
import type { Sequence } from "#trainer/model/trainable.ts";

/** How libllama is to evaluate; its kernels differ with each of these. */
export type LibllamaOptions = {
  readonly libraries: NativeLibraries;
  readonly modelPath: string;
  readonly adapterPath?: string;
  /** Tokens of one decode; 1 evaluates token by token. */
  readonly batchTokens?: number;
  /** Whether weights may be repacked for the CPU. */
  readonly repack?: boolean;
};

/** Natural log-probabilities, [tokens] for each sequence, 0 where not scored. */
export function libllamaLogps(
  batch: readonly Sequence[],
  { libraries, modelPath, adapterPath, batchTokens = 512, repack = true }: LibllamaOptions,
): Float32Array[] {
  const llama = bindLlama(libraries);
  const model = llama.llama_model_load_from_file(modelPath, {
    ...llama.llama_model_default_params(),
    n_gpu_layers: 0,
    use_extra_bufts: repack,
  });
  if (model === null) throw new Error(`libllama refused ${modelPath}`);
  const context = llama.llama_init_from_model(model, {
    ...llama.llama_context_default_params(),
    n_ctx: 512,
    n_batch: batchTokens,
    n_ubatch: batchTokens,
    n_outputs_max: batchTokens,
    n_outputs_max_per_seq: batchTokens,
    n_threads: 1,
    n_threads_batch: 1,
    // The trainer keeps keys and values as they come, without the cache's F16.
    type_k: GGML_TYPE.f32,
    type_v: GGML_TYPE.f32,
    flash_attn_type: LLAMA_FLASH_ATTN_TYPE.disabled,
  });
  if (context === null) throw new Error("libllama gave no context");
  try {
    if (adapterPath !== undefined) {
      const adapter = llama.llama_adapter_lora_init(model, adapterPath);
      if (adapter === null) throw new Error(`libllama refused ${adapterPath}`);
      llama.llama_set_adapters_lora(context, BigUint64Array.of(adapter), 1, Float32Array.of(1));
    }
    const nVocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model));
    return batch.map((sequence) => evaluate(llama, context, sequence, { nVocab, batchTokens }));
  } finally {
    llama.llama_free(context);
    llama.llama_model_free(model);
  }
}

function evaluate(
  llama: Llama,
  context: LlamaContextPointer,
  { tokens, scored }: Sequence,
  { nVocab, batchTokens }: { nVocab: number; batchTokens: number },
): Float32Array {
  llama.llama_memory_clear(llama.llama_get_memory(context), true);
  const logps = new Float32Array(tokens.length);
  for (let from = 0; from < tokens.length; from += batchTokens) {
    const part = tokens.subarray(from, from + batchTokens);
    const batch = new DecodeBatch(batchTokens);
    for (const [i, token] of part.entries()) batch.add(token, from + i, 0, true);
    if (llama.llama_decode(context, batch.struct()) !== 0) throw new Error("llama_decode failed");
    for (const i of part.keys()) {
      const next = from + i + 1;
      if (scored[next] !== 1) continue;
      const address = llama.llama_get_logits_ith(context, i);
      if (address === null) throw new Error("no logits");
      logps[next] = logSoftmax(readFloats(address, nVocab), tokens[next] ?? 0);
    }
  }
  return logps;
}

function logSoftmax(logits: Float32Array, label: number): number {
  const greatest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - greatest), 0);
  return (logits[label] ?? Number.NaN) - greatest - Math.log(sum);
}
