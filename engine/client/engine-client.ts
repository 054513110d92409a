/**
 * The HTTP client of the engine, for the bot, the trainer and the command line.
 * It knows the wire and nothing of Discord, prompts or where the engine runs.
 */
import { createParser, type EventSourceParser } from "eventsource-parser";
import type { z } from "zod";
import type { ChatMessage } from "../backends/backend.ts";
import { CodedError } from "../base/errors.ts";
import {
  activationSchema,
  adaptersSchema,
  chunkSchema,
  completionSchema,
  healthSchema,
  modelsSchema,
  parseWireError,
  type WireVerdict,
} from "./wire.ts";

/** One request for a completion; what is left out takes the engine's default. */
export type ChatRequest = {
  readonly messages: readonly ChatMessage[];
  /** `<id>` (the active adapter), `<id>:<adapter>` or `<id>:base`; omitted: the served model. */
  readonly model?: string;
  /** 0 (greedy) to 2. */
  readonly temperature?: number;
  /** (0, 1] */
  readonly topP?: number;
  /** 0 is off. */
  readonly topK?: number;
  /** [0, 1] */
  readonly minP?: number;
  readonly seed?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  /** How many answers to draw; `complete` only. */
  readonly n?: number;
  /** Whose turn it is in the queue; pseudonymous keys, never shown. */
  readonly metadata?: { readonly person?: string; readonly guild?: string };
  /** Aborting ends the request on both sides. */
  readonly signal?: AbortSignal;
};

/** Why an answer ended; `content_filter` when a check withheld the rest. */
export type FinishReason = "stop" | "length" | "content_filter";

/** Tokens of a request: the rendered prompt, and everything drawn for it. */
export type Usage = { readonly promptTokens: number; readonly completionTokens: number };

/** What a streamed answer reports, in order: any number of `queued`, then `text`, then one `end`. */
export type ChatChunk =
  | {
      readonly type: "queued";
      /** How many requests go first; 0 is next. */
      readonly position: number;
    }
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "end";
      readonly reason: FinishReason;
      readonly adapter: string | null;
      readonly usage: Usage;
      /** Present where the reason is `content_filter`; its `reason` is a sentence to show. */
      readonly verdict?: WireVerdict;
    };

/** One answer of `complete`. */
export type Answer = {
  readonly text: string;
  readonly reason: FinishReason;
  readonly verdict?: WireVerdict;
};

/** A whole completion: its answers by index, and the adapter that wrote all of them. */
export type Completion = {
  readonly id: string;
  readonly adapter: string | null;
  readonly answers: readonly Answer[];
  readonly usage: Usage;
};

/** The state of the engine. */
export type Health = z.infer<typeof healthSchema>;

/** The registry as the engine sees it. */
export type Adapters = z.infer<typeof adaptersSchema>;

/**
 * Talks to one engine. Every method throws a `CodedError`: the engine's own code and message, or
 * `engine_unreachable`; an aborted signal rejects with its reason, as fetch does.
 */
export class EngineClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  /** @param options.url the engine's root, such as http://127.0.0.1:8177, with or without `/v1` */
  constructor(options: { readonly url: string; readonly apiKey?: string }) {
    this.#url = options.url.replace(/\/+$/, "").replace(/\/v1$/, "");
    this.#headers = {
      "content-type": "application/json",
      ...(options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }),
    };
  }

  /** Streams one answer. Ending the iteration early ends the request. */
  async *chat(request: ChatRequest): AsyncIterable<ChatChunk> {
    const leave = new AbortController();
    const signals = [leave.signal, ...(request.signal === undefined ? [] : [request.signal])];
    try {
      const body = { ...toBody(request), stream: true, stream_options: { include_usage: true } };
      const response = await this.#send("/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify(body),
        signal: AbortSignal.any(signals),
      });
      if (response.body === null) throw this.#unreachable("it sent no body");
      yield* this.#readChunks(response.body, request.signal);
    } finally {
      leave.abort();
    }
  }

  /** Awaits `n` whole answers. */
  async complete(request: ChatRequest): Promise<Completion> {
    const body = JSON.stringify({ ...toBody(request), n: request.n ?? 1 });
    const init = { method: "POST", body, ...withSignal(request.signal) };
    const completion = await this.#json("/v1/chat/completions", completionSchema, init);
    return {
      id: completion.id,
      adapter: completion.adapter,
      answers: completion.choices
        .toSorted((a, b) => a.index - b.index)
        .map((choice) => ({
          text: choice.message.content ?? "",
          reason: choice.finish_reason,
          ...(choice.verdict === undefined ? {} : { verdict: choice.verdict }),
        })),
      usage: toUsage(completion.usage),
    };
  }

  /** The names that requests may give as `model`. */
  async models(signal?: AbortSignal): Promise<string[]> {
    const { data } = await this.#json("/v1/models", modelsSchema, withSignal(signal));
    return data.map((model) => model.id);
  }

  /** What is served, by which adapter, how long the queue is and what is wrong, if anything. */
  health(signal?: AbortSignal): Promise<Health> {
    return this.#json("/health", healthSchema, withSignal(signal), [503]);
  }

  /** Every adapter of the registry, and the active one. */
  adapters(signal?: AbortSignal): Promise<Adapters> {
    return this.#json("/v1/adapters", adaptersSchema, withSignal(signal));
  }

  /**
   * Swaps the serving adapter; requests that run finish on theirs.
   * @param name an adapter of the registry, or `base` for the bare weights
   */
  async activate(name: string): Promise<{ active: string | null; previous: string | null }> {
    const path = `/v1/adapters/${encodeURIComponent(name)}/activate`;
    return this.#json(path, activationSchema, { method: "POST" });
  }

  async *#readChunks(
    body: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): AsyncIterable<ChatChunk> {
    const reading = new StreamReading();
    const decoder = new TextDecoder();
    try {
      for await (const bytes of body) {
        yield* reading.feed(decoder.decode(bytes, { stream: true }));
      }
    } catch (error) {
      if (error instanceof CodedError || signal?.aborted === true) throw error;
      throw this.#unreachable("the stream broke off", error);
    }
    const end = reading.end();
    if (end === undefined) throw this.#unreachable("the stream ended before the answer did");
    yield end;
  }

  async #json<T>(
    path: string,
    schema: z.ZodType<T>,
    init: RequestInit,
    accepted: readonly number[] = [],
  ): Promise<T> {
    const response = await this.#send(path, init, accepted);
    const body: unknown = await response.json().catch((error: unknown) => {
      if (init.signal?.aborted === true) throw error;
      throw this.#unreachable("its answer is not JSON", error);
    });
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw this.#unreachable(`its answer to ${path} is not this project's engine's`, parsed.error);
  }

  async #send(
    path: string,
    init: RequestInit,
    accepted: readonly number[] = [],
  ): Promise<Response> {
    const response = await fetch(this.#url + path, { ...init, headers: this.#headers }).catch(
      (error: unknown) => {
        if (init.signal?.aborted === true) throw error;
        throw this.#unreachable("no connection", error);
      },
    );
    if (response.ok || accepted.includes(response.status)) return response;
    const body: unknown = await response.json().catch(() => undefined);
    throw parseWireError(body) ?? this.#unreachable(`it answered ${response.status}`);
  }

  #unreachable(what: string, cause?: unknown): CodedError {
    return new CodedError(
      `The engine at ${this.#url} does not answer (${what}). Check that it runs and that ENGINE_URL is right.`,
      { code: "engine_unreachable", cause },
    );
  }
}

/** Turns server-sent events into chunks, and remembers what the `end` will say. */
class StreamReading {
  readonly #parser: EventSourceParser;
  #ready: ChatChunk[] = [];
  #failure: CodedError | undefined;
  #reason: FinishReason | undefined;
  #adapter: string | null = null;
  #verdict: WireVerdict | undefined;
  #usage: Usage = { promptTokens: 0, completionTokens: 0 };

  constructor() {
    this.#parser = createParser({
      onComment: (comment) => this.#onComment(comment),
      onEvent: ({ data }) => this.#onData(data),
    });
  }

  /** @throws CodedError the error event that the engine sent */
  feed(text: string): ChatChunk[] {
    this.#parser.feed(text);
    if (this.#failure !== undefined) throw this.#failure;
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }

  /** The last chunk; undefined when no finish reason came. */
  end(): ChatChunk | undefined {
    if (this.#reason === undefined) return undefined;
    const common = { reason: this.#reason, adapter: this.#adapter, usage: this.#usage };
    const verdict = this.#verdict === undefined ? {} : { verdict: this.#verdict };
    return { type: "end", ...common, ...verdict };
  }

  #onComment(comment: string): void {
    const position = /queued position=(\d+)/.exec(comment)?.[1];
    if (position !== undefined) this.#ready.push({ type: "queued", position: Number(position) });
  }

  #onData(data: string): void {
    if (data === "[DONE]") return;
    const body = parseJson(data);
    this.#failure ??= parseWireError(body);
    const chunk = chunkSchema.safeParse(body);
    if (!chunk.success) return;
    this.#adapter = chunk.data.adapter;
    if (chunk.data.usage) this.#usage = toUsage(chunk.data.usage);
    for (const choice of chunk.data.choices) {
      if (choice.delta.content) this.#ready.push({ type: "text", text: choice.delta.content });
      this.#reason = choice.finish_reason ?? this.#reason;
      this.#verdict = choice.verdict ?? this.#verdict;
    }
  }
}

function toBody(request: ChatRequest): Record<string, unknown> {
  return {
    model: request.model,
    messages: request.messages,
    temperature: request.temperature,
    top_p: request.topP,
    top_k: request.topK,
    min_p: request.minP,
    seed: request.seed,
    max_tokens: request.maxTokens,
    stop: request.stop,
    metadata: request.metadata,
  };
}

function toUsage(usage: { prompt_tokens: number; completion_tokens: number }): Usage {
  return { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens };
}

function withSignal(signal: AbortSignal | undefined): RequestInit {
  return signal === undefined ? {} : { signal };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
