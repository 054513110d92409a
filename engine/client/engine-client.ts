/**
 * The HTTP client of the engine, for the bot, the trainer and the command line.
 * It knows the wire and nothing of Discord, prompts or where the engine runs.
 */
import type { z } from "zod";
import type { ChatMessage } from "../backends/backend.ts";
import type { PromptMessage } from "../backends/prompt.ts";
import { toWireMessage } from "../backends/wire-prompt.ts";
import { CodedError, systemCode } from "../base/errors.ts";
import { readEventStream, type WireEvent } from "./event-stream.ts";
import {
  activationSchema,
  adaptersSchema,
  healthSchema,
  modelsSchema,
  moderationsSchema,
  parseWireError,
  tokenCountsSchema,
  type WireChunk,
  type WireVerdict,
} from "./wire.ts";

/** One request for a completion; what is left out takes the engine's default. */
export type ChatRequest = {
  /** With pictures only where `health` tells of the input modality `image`. */
  readonly messages: readonly PromptMessage[];
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
  /** How many answers to draw, 1 to 16; `chat` gives the first alone. */
  readonly n?: number;
  /** `background` gives way to everyone who waits for an answer. */
  readonly priority?: "interactive" | "background";
  /** Most time from now to the last token; then the request ends as `deadline_exceeded`. */
  readonly deadlineMs?: number;
  /** Whose turn it is in the queue (pseudonymous keys, never shown), and where it is asked. */
  readonly metadata?: {
    readonly person?: string;
    readonly guild?: string;
    readonly channel?: string;
    /** Whether the channel is marked as age-restricted. */
    readonly age_restricted?: boolean;
    /** Of what people are shown, such as `de`. */
    readonly locale?: string;
    /** How the place is moderated; what is left out is the engine's default. */
    readonly moderation?: {
      /** What moderators decided about this very question. */
      readonly decided: "allow" | "block";
    };
  };
  /** Aborting ends the request on both sides. */
  readonly signal?: AbortSignal;
};

/** Why an answer ended; `content_filter` when a check withheld the rest. */
type FinishReason = "stop" | "length" | "content_filter";

/** Tokens of a request: the rendered prompt, and everything drawn for it. */
type Usage = { readonly promptTokens: number; readonly completionTokens: number };

/** What a streamed answer reports, in order: any number of `queued`, then `text`, then one `end`. */
export type ChatChunk =
  | {
      readonly type: "queued";
      /** How many requests go first; 0 is next. */
      readonly position: number;
      /** For about so long; 0 where the engine does not know. */
      readonly waitMs: number;
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

/** What the checks say of one text. */
type Judgement = z.infer<typeof moderationsSchema>["results"][number];

/** Who answers after a change. */
export type Activation = z.infer<typeof activationSchema>;

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
  async *chat(request: ChatRequest): AsyncGenerator<ChatChunk> {
    const tally = new Tally();
    for await (const event of this.#stream(toBody(request), request.signal)) {
      if (event.type === "queued") yield event;
      else for (const text of tally.add(event.chunk)) yield { type: "text", text };
    }
    const { adapter, usage } = tally;
    const { reason, verdict } = this.#complete(tally.answers().slice(0, 1))[0] ?? {};
    yield {
      type: "end",
      reason: reason ?? "stop",
      adapter,
      usage,
      ...(verdict === undefined ? {} : { verdict }),
    };
  }

  /**
   * Awaits `n` whole answers. It streams underneath, so that no timeout strikes however long they take.
   */
  async complete(request: ChatRequest): Promise<Completion> {
    const tally = new Tally();
    const body = { ...toBody(request), n: request.n ?? 1 };
    for await (const event of this.#stream(body, request.signal)) {
      if (event.type === "chunk") tally.add(event.chunk);
    }
    const { id, adapter, usage } = tally;
    return { id, adapter, usage, answers: this.#complete(tally.answers()) };
  }

  /**
   * Tokens of each conversation as the served model would read it alone: its template's marks, BOS and the
   * prompt to answer included. @param conversations 1 to 256 of them
   */
  async countTokens(
    conversations: readonly (readonly ChatMessage[])[],
    signal?: AbortSignal,
  ): Promise<readonly number[]> {
    const init = { method: "POST", body: JSON.stringify({ conversations }), ...withSignal(signal) };
    return (await this.#json("/v1/tokenize", tokenCountsSchema, init)).counts;
  }

  /**
   * Judges texts by the engine's own checks, without answering them.
   * @param texts 1 to 64 of them
   * @returns for each whether it is blocked, and how probable each hazard is (0 to 1)
   */
  async moderate(texts: readonly string[], signal?: AbortSignal): Promise<readonly Judgement[]> {
    const init = { method: "POST", body: JSON.stringify({ input: texts }), ...withSignal(signal) };
    return (await this.#json("/v1/moderations", moderationsSchema, init)).results;
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
   * @param share of the guilds that get it on trial, above 0 to 1; everyone unless given
   */
  activate(name: string, share?: number): Promise<Activation> {
    const path = `/v1/adapters/${encodeURIComponent(name)}/activate`;
    const body = share === undefined ? {} : { body: JSON.stringify({ share }) };
    return this.#json(path, activationSchema, { method: "POST", ...body });
  }

  /** Takes an adapter off: the bare weights answer in its place, or the active one in place of a canary. */
  deactivate(name: string): Promise<Activation> {
    const path = `/v1/adapters/${encodeURIComponent(name)}/deactivate`;
    return this.#json(path, activationSchema, { method: "POST" });
  }

  async *#stream(
    body: Record<string, unknown>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<WireEvent> {
    const leave = new AbortController();
    try {
      const response = await this.#send("/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
        signal: signal === undefined ? leave.signal : AbortSignal.any([leave.signal, signal]),
      });
      if (response.body !== null) yield* readEventStream(response.body);
    } catch (error) {
      if (error instanceof CodedError || signal?.aborted === true) throw error;
      throw this.#unreachable("the stream broke off", error);
    } finally {
      leave.abort();
    }
  }

  /** Answers without an end were cut off. */
  #complete(answers: readonly Draft[]): Answer[] {
    return answers.map(({ text, reason, verdict }) => {
      if (reason === undefined) throw this.#unreachable("the stream ended before the answer did");
      return { text, reason, ...(verdict === undefined ? {} : { verdict }) };
    });
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
    const attempt = () => fetch(this.#url + path, { ...init, headers: this.#headers });
    // An engine may close an idle connection just as it is used again; nothing was begun on it then.
    const response = await attempt()
      .catch((error: unknown) => (isStaleConnection(error) ? attempt() : Promise.reject(error)))
      .catch((error: unknown) => {
        if (init.signal?.aborted === true) throw error;
        throw this.#unreachable("no connection", error);
      });
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

type Draft = { text: string; reason?: FinishReason; verdict?: WireVerdict };

/** Adds up the chunks of one request. */
class Tally {
  id = "";
  adapter: string | null = null;
  usage: Usage = { promptTokens: 0, completionTokens: 0 };
  readonly #drafts = new Map<number, Draft>();

  /** Takes a chunk; the pieces of text in it. */
  add(chunk: WireChunk): string[] {
    this.id = chunk.id;
    this.adapter = chunk.adapter;
    if (chunk.usage) this.usage = toUsage(chunk.usage);
    return chunk.choices
      .map(({ index, delta, finish_reason: reason, verdict }) => {
        const draft = this.#drafts.get(index) ?? { text: "" };
        const text = delta.content ?? "";
        this.#drafts.set(index, {
          ...draft,
          text: draft.text + text,
          ...(reason ? { reason } : {}),
          ...(verdict === undefined ? {} : { verdict }),
        });
        return text;
      })
      .filter((text) => text !== "");
  }

  /** By index; one at least, so that an empty stream counts as cut off. */
  answers(): Draft[] {
    if (this.#drafts.size === 0) return [{ text: "" }];
    return [...this.#drafts].sort(([a], [b]) => a - b).map(([, draft]) => draft);
  }
}

function toBody(request: ChatRequest): Record<string, unknown> {
  return {
    model: request.model,
    messages: request.messages.map(toWireMessage),
    temperature: request.temperature,
    top_p: request.topP,
    top_k: request.topK,
    min_p: request.minP,
    seed: request.seed,
    max_tokens: request.maxTokens,
    stop: request.stop,
    service_tier: request.priority === "background" ? "flex" : undefined,
    deadline_ms: request.deadlineMs,
    metadata: request.metadata,
  };
}

/** Whether the connection ended before an answer came, as fetch reports it. */
function isStaleConnection(error: unknown): boolean {
  const code = error instanceof Error ? systemCode(error.cause) : undefined;
  return code === "ECONNRESET" || code === "EPIPE" || code === "UND_ERR_SOCKET";
}

function toUsage(usage: { prompt_tokens: number; completion_tokens: number }): Usage {
  return { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens };
}

function withSignal(signal: AbortSignal | undefined): RequestInit {
  return signal === undefined ? {} : { signal };
}
