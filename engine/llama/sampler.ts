/** llama.cpp's sampler chain of one completion, in the order that the backend's `Sampling` names. */
import { CodedError } from "../base/errors.ts";
import type { Llama } from "../native/llama.ts";
import type {
  LlamaContextPointer,
  LlamaSamplerPointer,
  LlamaVocabPointer,
} from "../native/llama-struct.ts";

/** How to draw; structurally the backends' `Sampling`. */
export type SamplingOptions = {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
};

/** A grammar for the tokens of a vocabulary. */
export type Grammar = { readonly gbnf: string; readonly vocab: LlamaVocabPointer };

const MAX_SEED = 0xffff_fffe;

/** Draws tokens for one completion; its random state is its own. */
export class Sampler implements Disposable {
  readonly #llama: Llama;
  #chain: LlamaSamplerPointer | null;

  /**
   * @param grammar GBNF that the text must be of; undefined: anything
   * @throws CodedError `invalid_request` when it is no GBNF
   */
  constructor(llama: Llama, sampling: SamplingOptions, grammar?: Grammar) {
    this.#llama = llama;
    const constraint = grammar === undefined ? undefined : openGrammar(llama, grammar);
    const chain = llama.llama_sampler_chain_init({ no_perf: true });
    this.#chain = chain;
    const add = (sampler: LlamaSamplerPointer) => llama.llama_sampler_chain_add(chain, sampler);
    // First, so that what follows never chooses among tokens that may not stand.
    if (constraint !== undefined) add(constraint);
    if (sampling.temperature === 0) {
      add(llama.llama_sampler_init_greedy());
      return;
    }
    if (sampling.topK > 0) add(llama.llama_sampler_init_top_k(sampling.topK));
    if (sampling.topP < 1) add(llama.llama_sampler_init_top_p(sampling.topP, 1));
    if (sampling.minP > 0) add(llama.llama_sampler_init_min_p(sampling.minP, 1));
    add(llama.llama_sampler_init_temp(sampling.temperature));
    add(llama.llama_sampler_init_dist(foldSeed(sampling.seed)));
  }

  /** @param row a row of the last decode that asked for logits; libllama aborts on any other */
  sample(context: LlamaContextPointer, row: number): number {
    if (this.#chain === null) throw new Error("this sampler was disposed already");
    return this.#llama.llama_sampler_sample(this.#chain, context, row);
  }

  [Symbol.dispose](): void {
    if (this.#chain !== null) this.#llama.llama_sampler_free(this.#chain);
    this.#chain = null;
  }
}

function openGrammar(llama: Llama, { gbnf, vocab }: Grammar): LlamaSamplerPointer {
  const sampler = llama.llama_sampler_init_grammar(vocab, gbnf, "root");
  if (sampler !== null) return sampler;
  throw new CodedError(
    "The grammar should be GBNF with a rule named root (llama.cpp, grammars/README.md); it cannot be parsed.",
    { code: "invalid_request" },
  );
}

/** Any integer to 32 bits; 0xffffffff would mean a random seed to llama.cpp. */
function foldSeed(seed: number): number {
  return Math.min(Math.trunc(seed) >>> 0, MAX_SEED);
}
