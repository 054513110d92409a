/** libllama's samplers under their own names (llama.h, Sampling API). A chain owns what is added to it. */
import koffi, { type LibraryHandle } from "koffi";
import { bind, P, SIZE } from "./ggml-pointer.ts";
import type {
  LlamaContextPointer,
  LlamaSamplerPointer,
  LlamaVocabPointer,
} from "./llama-struct.ts";

type Sampler = LlamaSamplerPointer;

/** Binds the samplers that requests can ask for. */
export function bindSamplers(lib: LibraryHandle) {
  const chainParams = koffi.struct({ no_perf: "bool" });
  const cutoff = (name: string) =>
    bind<[share: number, minKeep: number], Sampler>(lib, name, P, ["float", SIZE]);
  return {
    llama_sampler_chain_init: bind<[{ no_perf: boolean }], Sampler>(
      lib,
      "llama_sampler_chain_init",
      P,
      [chainParams],
    ),
    llama_sampler_chain_add: bind<[chain: Sampler, Sampler], void>(
      lib,
      "llama_sampler_chain_add",
      "void",
      [P, P],
    ),
    llama_sampler_free: bind<[Sampler], void>(lib, "llama_sampler_free", "void", [P]),
    llama_sampler_init_greedy: bind<[], Sampler>(lib, "llama_sampler_init_greedy", P, []),
    llama_sampler_init_dist: bind<[seed: number], Sampler>(lib, "llama_sampler_init_dist", P, [
      "uint32_t",
    ]),
    llama_sampler_init_top_k: bind<[k: number], Sampler>(lib, "llama_sampler_init_top_k", P, [
      "int32_t",
    ]),
    llama_sampler_init_top_p: cutoff("llama_sampler_init_top_p"),
    llama_sampler_init_min_p: cutoff("llama_sampler_init_min_p"),
    llama_sampler_init_temp: bind<[temperature: number], Sampler>(
      lib,
      "llama_sampler_init_temp",
      P,
      ["float"],
    ),
    /** Lets only tokens through with which the text can still be of the grammar; null where it is no GBNF. */
    llama_sampler_init_grammar: bind<
      [LlamaVocabPointer, grammar: string, root: string],
      Sampler | null
    >(lib, "llama_sampler_init_grammar", P, [P, "str", "str"]),
    /** Draws from the logits of batch row `row` and records the token; aborts where the row has no logits. */
    llama_sampler_sample: bind<[Sampler, LlamaContextPointer, row: number], number>(
      lib,
      "llama_sampler_sample",
      "int32_t",
      [P, P, "int32_t"],
    ),
  };
}
