/**
 * The one interface that the service speaks to whatever computes tokens.
 * A backend knows nothing of HTTP, queues, people, moderation or which adapter is current:
 * each request names its adapter, and keeps it to its end.
 */
import type { Ability, PromptMessage, ToolCallDelta, Tools } from "./prompt.ts";

/** One turn of a conversation in plain text. */
export type ChatMessage = {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
};

/** How the next token is drawn; llama.cpp's sampler chain in this order: top-k, top-p, min-p, temperature, draw. */
export type Sampling = {
  /** 0 is greedy; otherwise logits are divided by it. Range 0 to 2. */
  readonly temperature: number;
  /** Nucleus: the smallest set whose probability reaches this. Range (0, 1]; 1 is off. */
  readonly topP: number;
  /** Keep only this many likeliest tokens; 0 is off. */
  readonly topK: number;
  /** Keep tokens of at least this share of the likeliest one's probability. Range [0, 1]; 0 is off. */
  readonly minP: number;
  /** Same seed, prompt and adapter: same draw (as far as batch shapes leave logits alike). */
  readonly seed: number;
};

/** What the whole answer must look like. */
export type AnswerShape =
  /** JSON of a schema; of any object where that is null. */
  | { readonly type: "json"; readonly schema: unknown }
  /** llama.cpp's grammar language, GBNF; its start is `root`. */
  | { readonly type: "grammar"; readonly gbnf: string };

/** One completion to generate. */
export type GenerateRequest = {
  readonly messages: readonly PromptMessage[];
  /** Only to a model whose `ModelInfo` says that it takes them; undefined: none. */
  readonly tools?: Tools;
  readonly sampling: Sampling;
  /** Upper bound of generated tokens; clamped to what the context leaves. */
  readonly maxTokens: number;
  /** Generation ends before the first of these strings, which is not given out. */
  readonly stop: readonly string[];
  /** Undefined: anything. */
  readonly shape?: AnswerShape;
  /** How many alternatives to report for each token (0 to 20); undefined reports no log-probabilities. */
  readonly topLogprobs?: number;
  /** Name of an adapter loaded by `loadAdapter`; null for the bare weights. */
  readonly adapter: string | null;
  /** Aborting ends the stream within one prefill chunk. */
  readonly signal: AbortSignal;
};

/** A token's log-probability before sampling changes, natural logarithm. */
export type TokenLogprob = {
  readonly token: string;
  readonly bytes: readonly number[];
  readonly logprob: number;
};

/** What a running completion reports, in order: one `start`, any number of `text` and `tool`, one `end`. */
export type GenerateEvent =
  | { readonly type: "start"; readonly promptTokens: number; readonly adapter: string | null }
  | {
      /** Whole characters only: an unfinished UTF-8 sequence or a possible stop string is held back. */
      readonly type: "text";
      readonly text: string;
      readonly tokenIds: readonly number[];
      readonly logprobs?: readonly (TokenLogprob & { readonly top: readonly TokenLogprob[] })[];
    }
  | ({ readonly type: "tool" } & ToolCallDelta)
  | {
      readonly type: "end";
      readonly reason: "stop" | "length" | "tool_calls" | "aborted";
      readonly completionTokens: number;
    };

/** What is served. */
export type ModelInfo = {
  /** Short id: `nano`, or the file's stem. */
  readonly id: string;
  readonly path: string;
  /** sha256 of the file, hex. */
  readonly sha256: string;
  readonly parameters: number;
  /** Context of one conversation, tokens. */
  readonly contextTokens: number;
  /** Concurrent conversations. */
  readonly streams: number;
  /** What runs it and why, in a sentence for people. */
  readonly device: string;
  /** How memory is divided and why, in sentences for people; undefined where another server decides that. */
  readonly memory?: string;
  /** Whether requests may offer functions to call. */
  readonly tools: Ability;
  /** Whether people's turns may hold pictures. */
  readonly images: Ability;
};

/** Machine-independent figures of the decode loop, for /health and the benchmark. */
export type BackendStats = {
  readonly decodes: number;
  readonly decodedTokens: number;
  readonly busyStreams: number;
  readonly waiting: number;
  /** Undefined where the backend's cache is out of sight. */
  readonly cache?: CacheStats;
};

/** The KV cache: cells, and the conversations parked on disk. */
type CacheStats = {
  readonly cells: number;
  readonly usedCells: number;
  /** Prompt tokens that were not computed again. */
  readonly reusedTokens: number;
  readonly parkedConversations: number;
  readonly parkedBytes: number;
  /** Conversations that came back from disk. */
  readonly returnedConversations: number;
};

/** What a thread of the backend's own keeps in JavaScript, bytes. */
export type ThreadMemory = {
  readonly thread: string;
  /** Taken from the system for its heap, and how much of that holds something. */
  readonly heapBytes: number;
  readonly usedBytes: number;
  /** Buffers outside of its heap. */
  readonly externalBytes: number;
};

/** See `Backend.embed`. */
export type Embeddings = {
  readonly vectors: readonly (readonly number[] | Float32Array)[];
  readonly tokens: number;
};

/** Computes tokens. All methods may be called while completions run. */
export interface Backend extends AsyncDisposable {
  readonly info: ModelInfo;
  /**
   * Runs one completion. Errors reach the iterator's consumer.
   * @throws CodedError `prompt_too_long`, `adapter_unknown`, `native_failed`
   */
  generate(request: GenerateRequest): AsyncIterable<GenerateEvent>;
  /** Tokens of the rendered conversation, BOS and generation prompt included. */
  countTokens(messages: readonly PromptMessage[], tools?: Tools): number;
  /**
   * Makes an adapter available under `name`; its file must have been checked against its manifest.
   * @throws CodedError `adapter_corrupt`, `adapter_incompatible`
   */
  loadAdapter(name: string, path: string): Promise<void>;
  /** Frees an adapter once the last completion on it has ended. */
  unloadAdapter(name: string): Promise<void>;
  loadedAdapters(): readonly string[];
  stats(): BackendStats;
  /** Of its threads beside the one that serves requests; left out where it has none. */
  threadMemory?(): Promise<readonly ThreadMemory[]>;
  /**
   * Vectors of length 1 for texts, one for each, and how many tokens they have together. Left out where
   * the backend has none.
   * @throws CodedError `prompt_too_long`, `backend_refused` …
   */
  embed?(texts: readonly string[], signal: AbortSignal): Promise<Embeddings>;
  /** What keeps it from answering now, for people; undefined while nothing does. */
  readonly problem?: string | undefined;
}
