/**
 * One completion while it waits and runs: its prompt, its sampler, its text so far, and where its events go.
 * It knows no sequence, no batch and no other completion.
 */
import type { Llama } from "../../native/llama.ts";
import { AnswerText, type Release } from "../answer-text.ts";
import type { LlamaContext } from "../context.ts";
import { rankTokens } from "../logprobs.ts";
import { Sampler, type SamplingOptions } from "../sampler.ts";
import type { Vocabulary } from "../vocabulary.ts";

/** What to complete. */
export type CompletionRequest = {
  /** At least one token, and fewer than the context holds. */
  readonly prompt: Int32Array;
  /** How many of the prompt's first tokens many conversations share: the system prompt. */
  readonly sharedTokens: number;
  readonly sampling: SamplingOptions;
  /** Most tokens to sample; the context must have room for them. */
  readonly maxTokens: number;
  readonly stop: readonly string[];
  /** GBNF that the text must be of. */
  readonly grammar?: string;
  readonly topLogprobs?: number;
  readonly adapter: string | null;
};

/** A token's text and log-probability. */
type TokenReport = {
  readonly token: string;
  readonly bytes: readonly number[];
  readonly logprob: number;
};

/** What the reader of a completion gets, in order. */
export type StreamEvent =
  | { readonly type: "start"; readonly promptTokens: number; readonly adapter: string | null }
  | {
      readonly type: "text";
      readonly text: string;
      readonly tokenIds: readonly number[];
      readonly logprobs?: readonly (TokenReport & { readonly top: readonly TokenReport[] })[];
    }
  | {
      readonly type: "end";
      readonly reason: "stop" | "length" | "aborted";
      readonly completionTokens: number;
    };

/** Where a completion's events go, in order; after `end` or `fail` come no more. */
export type StreamSink = {
  push(event: StreamEvent): void;
  end(): void;
  fail(error: unknown): void;
};

type SampledToken = {
  readonly id: number;
  readonly logprob?: TokenReport & { readonly top: readonly TokenReport[] };
};

/** A completion. Only the decode loop writes to it. */
export class Stream {
  readonly request: CompletionRequest;
  readonly #events: StreamSink;
  /** Set by the reader's side; the loop acts on it between two decodes. */
  aborted = false;
  readonly #vocabulary: Vocabulary;
  readonly #text: AnswerText<SampledToken>;
  readonly #decoder = new TextDecoder();
  #sampler: Sampler | undefined;
  #sampledTokens = 0;
  #done = false;

  constructor(request: CompletionRequest, vocabulary: Vocabulary, events: StreamSink) {
    this.request = request;
    this.#events = events;
    this.#vocabulary = vocabulary;
    this.#text = new AnswerText(request.stop);
  }

  get done(): boolean {
    return this.#done;
  }

  /** Tells the reader that the completion has its place and begins. */
  start(llama: Llama): void {
    const { sampling, grammar } = this.request;
    const vocab = this.#vocabulary.pointer;
    this.#sampler =
      grammar === undefined
        ? new Sampler(llama, sampling)
        : new Sampler(llama, sampling, { gbnf: grammar, vocab });
    const { prompt, adapter } = this.request;
    this.#events.push({ type: "start", promptTokens: prompt.length, adapter });
  }

  /**
   * Draws the next token from a row of the last decode.
   * @returns the token to compute next, or undefined when the completion ended with this one
   */
  sample(context: LlamaContext, row: number): number | undefined {
    if (this.#sampler === undefined) throw new Error("the completion was not started");
    const id = this.#sampler.sample(context.pointer, row);
    this.#sampledTokens += 1;
    if (this.#vocabulary.endsGeneration(id)) return this.finish("stop");
    const release = this.#text.push(this.#report(id, context, row), this.#vocabulary.bytesOf(id));
    if (release.stopped) {
      this.#emit(release);
      return this.#end("stop");
    }
    this.#emit(release);
    return this.#sampledTokens < this.request.maxTokens ? id : this.finish("length");
  }

  /** Ends the completion, giving out what was held back. */
  finish(reason: "stop" | "length" | "aborted"): undefined {
    if (!this.#done && reason !== "aborted") this.#emit(this.#text.finish());
    return this.#end(reason);
  }

  /** Ends the completion with an error, which reaches its reader. */
  fail(error: unknown): void {
    this.#events.fail(error);
    this.#close();
  }

  #end(reason: "stop" | "length" | "aborted"): undefined {
    if (this.#done) return;
    this.#events.push({ type: "end", reason, completionTokens: this.#sampledTokens });
    this.#events.end();
    this.#close();
  }

  #close(): void {
    this.#done = true;
    this.#sampler?.[Symbol.dispose]();
    this.#sampler = undefined;
  }

  #emit({ text, tokens }: Release<SampledToken>): void {
    if (text === "" && tokens.length === 0) return;
    const tokenIds = tokens.map(({ id }) => id);
    const logprobs = tokens.flatMap(({ logprob }) => (logprob === undefined ? [] : [logprob]));
    const wanted = this.request.topLogprobs !== undefined;
    this.#events.push({ type: "text", text, tokenIds, ...(wanted ? { logprobs } : {}) });
  }

  #report(id: number, context: LlamaContext, row: number): SampledToken {
    const count = this.request.topLogprobs;
    if (count === undefined) return { id };
    const { chosen, top } = rankTokens(context.logits(row), id, count);
    const describe = (ranked: { readonly id: number; readonly logprob: number }): TokenReport => {
      const bytes = this.#vocabulary.bytesOf(ranked.id);
      return {
        token: this.#decoder.decode(bytes),
        bytes: [...bytes],
        logprob: ranked.logprob,
      };
    };
    return { id, logprob: { ...describe(chosen), top: top.map(describe) } };
  }
}
