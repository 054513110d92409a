/**
 * A backend on another server that speaks OpenAI's wire. Moderation, queue, prompts and limits stay the
 * engine's; what a vendor does in its own way stands in vendors.ts.
 */
import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import { CodedError } from "../../base/errors.ts";
import type {
  Backend,
  BackendStats,
  Embeddings,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
} from "../backend.ts";
import { type Ability, countImages, type PromptMessage, type Tools } from "../prompt.ts";
import { toWireMessage } from "../wire-prompt.ts";
import { readChatStream } from "./chat-stream.ts";
import { type LinkOptions, ServerLink } from "./server-link.ts";
import { StateTurns } from "./turns.ts";
import type { BackendKind, ServedAdapter, Vendor } from "./vendor.ts";
import { firstModel, vendorOf } from "./vendors.ts";

/** Which server, and what of it. */
export type RemoteBackendOptions = LinkOptions & {
  readonly kind: BackendKind;
  /** As the server names it; its first one unless told. */
  readonly model?: string | undefined;
  /** sha256 of the base model's GGUF; adapters of that base may then be loaded. */
  readonly baseSha256?: string | undefined;
  /** Where the server does not tell, tokens and conversations. */
  readonly contextTokens: number;
  readonly streams: number;
  /** Whether pictures go to it; `auto`: if it says that its model takes them. */
  readonly images?: "auto" | "on" | "off";
  /** Why pictures are kept from a model that would take them; undefined: they are not. */
  readonly imagesRefusal?: string | undefined;
};

const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.number(), embedding: z.array(z.number()) })),
  usage: z.object({ prompt_tokens: z.number() }).nullish(),
});
const CALL_TIMEOUT_MS = 30_000;
/** English text; a server that counts more refuses by itself. */
const CHARACTERS_PER_TOKEN = 4;
const TOKENS_PER_TURN = 5;
/** A picture of a megapixel or so takes 700 to 1,600 of them with the models of today. */
const TOKENS_PER_IMAGE = 1_024;

/**
 * Asks the server what it serves.
 * @throws CodedError `backend_unreachable`, `backend_refused`, `model_unknown`
 */
export async function openRemoteBackend(options: RemoteBackendOptions): Promise<Backend> {
  const link = new ServerLink(options);
  const vendor = vendorOf(options.kind);
  const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const model = options.model ?? (await firstModel({ link, signal }));
  const served = await vendor.describe({ link, model, signal });
  const { contextTokens = options.contextTokens, streams = options.streams } = served;
  const info: ModelInfo = {
    id: shortName(model),
    path: `${link.url} (${model})`,
    // Of no file: an adapter of another base must never seem to fit.
    sha256: options.baseSha256 ?? createHash("sha256").update(`${link.url} ${model}`).digest("hex"),
    parameters: 0,
    contextTokens,
    streams,
    device: `${vendor.kind} at ${link.url}`,
    tools: toolsOf(served.takesTools, link.url),
    images: imagesOf(options, served.takesImages, link.url),
  };
  return new RemoteBackend({ link, vendor, model, info, adapterIds: served.adapterIds ?? [] });
}

/** A colon would read as an adapter's in a request, a slash as a path. */
function shortName(model: string): string {
  const name = model.split("/").at(-1) ?? model;
  return name.replace(/\.gguf$/i, "").replaceAll(":", "-");
}

class RemoteBackend implements Backend {
  readonly info: ModelInfo;
  readonly #link: ServerLink;
  readonly #vendor: Vendor;
  readonly #model: string;
  readonly #adapterIds: readonly string[];
  readonly #adapters = new Map<string, ServedAdapter>();
  readonly #turns: StateTurns<string | null>;
  readonly #closed = new AbortController();
  #busy = 0;
  #requests = 0;
  #tokens = 0;

  constructor(parts: {
    readonly link: ServerLink;
    readonly vendor: Vendor;
    readonly model: string;
    readonly info: ModelInfo;
    readonly adapterIds: readonly string[];
  }) {
    this.info = parts.info;
    this.#link = parts.link;
    this.#vendor = parts.vendor;
    this.#model = parts.model;
    this.#adapterIds = parts.adapterIds;
    this.#turns = new StateTurns((name) => {
      const adapter = name === null ? null : this.#adapterOf(name);
      return this.#vendor.select(this.#call(), adapter);
    });
  }

  get problem(): string | undefined {
    if (this.#link.state === "closed") return undefined;
    return `The server at ${this.#link.url} does not answer; requests are refused until it does.`;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, void> {
    if (request.messages.length === 0) {
      throw new CodedError("Expected at least one message to answer, got none.", {
        code: "invalid_request",
      });
    }
    const adapter = request.adapter === null ? null : this.#adapterOf(request.adapter);
    const leave = new AbortController();
    const signal = AbortSignal.any([request.signal, leave.signal, this.#closed.signal]);
    this.#busy += 1;
    this.#requests += 1;
    try {
      using _turn = await this.#turn(request.adapter);
      yield* this.#run(request, adapter, signal);
    } catch (error) {
      if (!request.signal.aborted && !this.#closed.signal.aborted) throw error;
      yield { type: "end", reason: "aborted", completionTokens: 0 };
    } finally {
      this.#busy -= 1;
      leave.abort();
    }
  }

  countTokens(messages: readonly PromptMessage[], tools?: Tools): number {
    const offered = tools === undefined ? 0 : JSON.stringify(tools).length;
    return messages.reduce(
      (sum, message) =>
        sum + textTokens(message) + TOKENS_PER_TURN + countImages(message) * TOKENS_PER_IMAGE,
      Math.ceil(offered / CHARACTERS_PER_TOKEN),
    );
  }

  async loadAdapter(name: string, path: string): Promise<void> {
    this.#adapters.set(name, await this.#vendor.load(this.#call(), name, path));
  }

  async unloadAdapter(name: string): Promise<void> {
    const adapter = this.#adapters.get(name);
    if (adapter === undefined) return;
    this.#adapters.delete(name);
    await this.#vendor.unload(this.#call(), adapter);
  }

  loadedAdapters(): readonly string[] {
    return [...this.#adapters.keys()];
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<Embeddings> {
    const body = { model: this.#model, input: texts, encoding_format: "float" };
    const answer = await this.#link.json({ method: "POST", path: "/v1/embeddings", body, signal });
    const parsed = embeddingsSchema.safeParse(answer);
    if (!parsed.success) throw this.#link.unreachable("it gave no embeddings", parsed.error);
    const { data, usage } = parsed.data;
    const vectors = data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
    return { vectors, tokens: usage?.prompt_tokens ?? 0 };
  }

  stats(): BackendStats {
    return {
      decodes: this.#requests,
      decodedTokens: this.#tokens,
      busyStreams: this.#busy,
      waiting: 0,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
  }

  async *#run(
    request: GenerateRequest,
    adapter: ServedAdapter | null,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent> {
    const response = await this.#link.send({
      method: "POST",
      path: "/v1/chat/completions",
      body: {
        ...toBody(request, this.#vendor),
        ...this.#vendor.fields(this.#model, adapter, this.#adapterIds),
      },
      signal,
    });
    if (response.body === null) throw this.#link.unreachable("its answer is empty");
    const promptTokens = this.countTokens(request.messages, request.tools);
    yield { type: "start", promptTokens, adapter: request.adapter };
    try {
      for await (const event of readChatStream(response.body, newCallId)) {
        if (event.type === "end") this.#tokens += event.completionTokens;
        yield event;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw this.#link.unreachable(error instanceof Error ? error.message : "it broke off", error);
    }
  }

  /** A request keeps its adapter to its end, also where the server has one for all. */
  #turn(adapter: string | null): Promise<Disposable> {
    if (this.#vendor.isExclusive) return this.#turns.take(adapter);
    return Promise.resolve({ [Symbol.dispose]: () => {} });
  }

  #adapterOf(name: string): ServedAdapter {
    const adapter = this.#adapters.get(name);
    if (adapter !== undefined) return adapter;
    throw new CodedError(
      `No adapter "${name}" is loaded. Loaded: ${this.loadedAdapters().join(", ") || "none"}.`,
      { code: "adapter_unknown" },
    );
  }

  #call() {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    return { link: this.#link, model: this.#model, signal };
  }
}

/** OpenAI's fields, with llama.cpp's names for what OpenAI has not; 0 and 1 stand for "off" and are left out. */
function toBody(request: GenerateRequest, vendor: Vendor): Record<string, unknown> {
  const { messages, tools, sampling, maxTokens, stop, topLogprobs, shape } = request;
  return {
    messages: messages.map(toWireMessage),
    ...(tools === undefined ? {} : vendor.toolFields(tools)),
    stream: true,
    stream_options: { include_usage: true },
    temperature: sampling.temperature,
    top_p: sampling.topP,
    ...(sampling.topK > 0 ? { top_k: sampling.topK } : {}),
    ...(sampling.minP > 0 ? { min_p: sampling.minP } : {}),
    seed: sampling.seed,
    max_tokens: maxTokens,
    ...(stop.length > 0 ? { stop } : {}),
    ...(topLogprobs === undefined ? {} : { logprobs: true, top_logprobs: topLogprobs }),
    ...(shape === undefined ? {} : vendor.shapeFields(shape)),
  };
}

function newCallId(): string {
  return `call_${randomUUID().replaceAll("-", "")}`;
}

function textTokens(message: PromptMessage): number {
  const calls = message.role === "assistant" ? (message.toolCalls ?? []) : [];
  const written = calls.reduce(
    (sum, { name, arguments: args }) => sum + name.length + args.length,
    0,
  );
  return Math.ceil((message.content.length + written) / CHARACTERS_PER_TOKEN);
}

/** What does not tell refuses by itself where it cannot; llama-server would leave the tools out in silence. */
function toolsOf(takesTools: boolean | undefined, url: string): Ability {
  if (takesTools !== false) return { can: true };
  return {
    can: false,
    why: `the chat template of the model at ${url} has no place for tools. Serve a model that was trained with them, or ask for JSON by response_format`,
  };
}

function imagesOf(
  { images: setting = "auto", imagesRefusal: why }: RemoteBackendOptions,
  takesImages: boolean | undefined,
  url: string,
): Ability {
  if (setting === "on" || (setting === "auto" && takesImages === true)) {
    return why === undefined ? { can: true } : { can: false, why };
  }
  if (setting === "off")
    return { can: false, why: "BACKEND_IMAGES=off keeps pictures from the model" };
  return {
    can: false,
    why:
      takesImages === false
        ? `the model at ${url} reads text alone. Serve one that takes pictures`
        : `the server at ${url} does not tell whether its model takes pictures. If it does, set BACKEND_IMAGES=on`,
  };
}
