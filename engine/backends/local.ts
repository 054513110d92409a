/**
 * The local backend: a GGUF in this process, through libllama. It turns conversations into tokens and completions
 * into events; which adapter serves and who may ask is for others to know.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { availableParallelism } from "node:os";
import { pipeline } from "node:stream/promises";
import { CodedError } from "../base/errors.ts";
import type { CacheType } from "../llama/context.ts";
import { Embedder } from "../llama/embedder.ts";
import { type BuildChoice, chooseBuild, type GpuSetting } from "../llama/gpu-build.ts";
import { emptyFolder } from "../llama/loop/conversation-store.ts";
import { laneNeeds } from "../llama/loop/lane-opener.ts";
import type { LaneStats } from "../llama/loop/lane-stats.ts";
import { type LoopLimits, LoopThread } from "../llama/loop/loop-thread.ts";
import type { Parking } from "../llama/loop/loop-wire.ts";
import { commonPrefix } from "../llama/loop/sequence-cache.ts";
import type { CompletionRequest } from "../llama/loop/stream.ts";
import { type CacheSetting, describePlan, planCache } from "../llama/memory-plan.ts";
import { LoadedModel } from "../llama/model.ts";
import { jsonObjectGrammar, schemaToGrammar } from "../llama/schema-grammar.ts";
import type { Vocabulary } from "../llama/vocabulary.ts";
import { loadLibraries } from "../native/library.ts";
import type {
  AnswerShape,
  Backend,
  BackendStats,
  ChatMessage,
  Embeddings,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
  ThreadMemory,
} from "./backend.ts";
import { countImages, type PromptMessage, tellsOfCalls } from "./prompt.ts";

/** What to serve and with how much. */
export type LocalBackendOptions = {
  readonly modelPath: string;
  readonly modelId: string;
  readonly gpu: GpuSetting;
  /** Layers on the GPU; ignored by the CPU build. */
  readonly gpuLayers: number;
  /** CPU threads; by default half of the logical processors, one at least. */
  readonly threads?: number;
  /** Context of each conversation, tokens; clamped to what the model was trained for. */
  readonly contextTokens: number;
  readonly streams: number;
  /** Completions that may wait for a stream before `queue_full`; 256 by default. */
  readonly waiting?: number;
  /** Most tokens of one decode: how long others may stall for a prompt. By default fitted to the model's size. */
  readonly batchTokens?: number;
  /** F16 unless told otherwise. */
  readonly cacheType?: CacheType;
  /** `auto` unless told otherwise. */
  readonly cacheSetting?: CacheSetting;
  /** Most cells of a pool; what memory holds unless told otherwise. */
  readonly cells?: number;
  /** Counts so many bytes as free beside the weights; what the system says unless told otherwise. */
  readonly freeBytes?: number;
  /** Where idle conversations' KV goes, and how many bytes of it; nowhere unless told. */
  readonly parking?: Parking;
  /** A guard model's own markers around the one turn that it is asked; other models get Zephyr's template. */
  readonly turn?: TurnMarkers;
};

/** What stands before and after a turn; the text of control tokens stands for those tokens. */
type TurnMarkers = { readonly before: string; readonly after: string };

/** The local backend, with its decode loop's machine-independent figures. */
export type LocalBackend = Backend & {
  laneStats(): LaneStats;
  /**
   * A backend on the same weights with contexts of its own, without adapters, for judging.
   * To be disposed before this one.
   */
  openBeside(options: { readonly streams: number; readonly contextTokens: number }): Backend;
};

const DEFAULT_WAITING = 256;
/** Longer texts are no sentence or paragraph; and the buffers for them are large. */
const EMBEDDED_TOKENS = 2048;
const SMALL_MODEL_PARAMETERS = 1e9;
/**
 * Measured with 58 M parameters on one CPU thread and eight people: batches of 128 give as many tokens a second as
 * 512, but halve the time to first token; at 32, 192 gave 4% less. A large model computes only ten to a hundred prompt
 * tokens a second.
 */
const BATCH_TOKENS = { gpu: 512, smallModelOnCpu: 128, largeModelOnCpu: 64 } as const;

/**
 * Chooses a build, loads the model and makes it ready.
 * @throws CodedError `library_missing`, `library_incompatible`, `model_missing`, `model_invalid`
 */
export async function openLocalBackend(options: LocalBackendOptions): Promise<LocalBackend> {
  const build = await chooseBuild(options.gpu);
  const libraries = loadLibraries(build.folder);
  const gpuLayers = build.kind === "cpu" ? 0 : options.gpuLayers;
  const hashing = hashFile(options.modelPath);
  // Awaited below; a model that does not load is the better message of the two.
  hashing.catch(() => undefined);
  const use = options.turn === undefined ? "chat" : "guard";
  const model = await LoadedModel.open(options.modelPath, { libraries, gpuLayers, use });
  try {
    return new LocalModelBackend(model, build, await hashing, options);
  } catch (error) {
    await model[Symbol.asyncDispose]();
    throw error;
  }
}

class LocalModelBackend implements LocalBackend {
  readonly info: ModelInfo;
  readonly #model: LoadedModel;
  readonly #build: BuildChoice;
  readonly #options: LocalBackendOptions;
  readonly #loop: LoopThread;
  readonly #limits: LoopLimits;
  #ownsModel = true;
  /** Opened when somebody first asks for an embedding. */
  #embedder: Promise<Embedder> | undefined;
  #systemPrompt: { readonly text: string; readonly tokens: Int32Array } | undefined;

  constructor(
    model: LoadedModel,
    build: BuildChoice,
    sha256: string,
    options: LocalBackendOptions,
  ) {
    const limits = toLimits(model, build, options);
    const { weights } = model;
    const needs = laneNeeds(weights, limits.shape);
    const layout = planCache(needs);
    this.#model = model;
    this.#build = build;
    this.#options = options;
    this.#limits = limits;
    const { parking, text } = checkParking(options.parking);
    this.info = {
      id: options.modelId,
      path: options.modelPath,
      sha256,
      parameters: weights.parameters,
      contextTokens: limits.shape.contextTokens,
      streams: layout.streams,
      device: build.reason,
      memory: `${describePlan(needs, layout, limits.shape.cacheType)} ${text}`,
      tools: { can: false, why: whyNoTools(options.modelId, model.hasToolTemplate) },
      images: {
        can: false,
        why: "models that run in the engine itself read text alone. A server that takes pictures can be used by BACKEND_URL",
      },
    };
    this.#loop = new LoopThread(model, limits, parking);
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, void> {
    const completion = this.#complete(request);
    if (request.signal.aborted) {
      yield { type: "end", reason: "aborted", completionTokens: 0 };
      return;
    }
    const running = this.#loop.submit(completion);
    const abort = () => this.#loop.abort(running);
    request.signal.addEventListener("abort", abort, { once: true });
    try {
      yield* running.events;
    } finally {
      request.signal.removeEventListener("abort", abort);
      // A reader that stopped early leaves the stream to others.
      abort();
    }
  }

  countTokens(messages: readonly PromptMessage[]): number {
    return this.#encode(plainMessages(messages)).length;
  }

  async loadAdapter(name: string, path: string): Promise<void> {
    await this.#loop.addAdapter(name, await this.#model.loadAdapter(path));
  }

  async unloadAdapter(name: string): Promise<void> {
    await this.#loop.removeAdapter(name);
  }

  loadedAdapters(): readonly string[] {
    return this.#loop.adapters;
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<Embeddings> {
    this.#embedder ??= Embedder.open(this.#model, {
      mostTokens: Math.min(this.info.contextTokens, EMBEDDED_TOKENS),
      threads: this.#limits.shape.threads,
    });
    const embedder = await this.#embedder;
    const encoded = texts.map((text) =>
      this.#vocabulary.tokenize(text, { special: false, addBos: true }),
    );
    const vectors: Float32Array[] = [];
    for (const tokens of encoded) {
      signal.throwIfAborted();
      vectors.push(await embedder.embed(tokens));
    }
    return { vectors, tokens: encoded.reduce((sum, { length }) => sum + length, 0) };
  }

  stats(): BackendStats {
    const { lanes, cells, parked } = this.#loop.figures;
    const { decodes, tokens, reusedTokens } = lanes;
    return {
      decodes,
      decodedTokens: tokens,
      busyStreams: this.#loop.busy,
      waiting: this.#loop.waiting,
      cache: {
        cells: cells.total,
        usedCells: cells.used,
        reusedTokens,
        parkedConversations: parked.conversations,
        parkedBytes: parked.bytes,
        returnedConversations: parked.returned,
      },
    };
  }

  async threadMemory(): Promise<readonly ThreadMemory[]> {
    const memory = await this.#loop.memory();
    return memory === undefined ? [] : [{ thread: "decoding", ...memory }];
  }

  laneStats(): LaneStats {
    return this.#loop.figures.lanes;
  }

  openBeside({ streams, contextTokens }: { streams: number; contextTokens: number }): Backend {
    const { parking: _, ...shared } = this.#options;
    const options = { ...shared, streams, contextTokens };
    const beside = new LocalModelBackend(this.#model, this.#build, this.info.sha256, options);
    beside.#ownsModel = false;
    return beside;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#embedder)?.[Symbol.asyncDispose]();
    await this.#loop[Symbol.asyncDispose]();
    if (this.#ownsModel) await this.#model[Symbol.asyncDispose]();
  }

  get #vocabulary(): Vocabulary {
    return this.#model.vocabulary;
  }

  #complete(request: GenerateRequest): CompletionRequest {
    const messages = plainMessages(request.messages);
    const prompt = this.#encode(messages);
    if (messages.length === 0 || prompt.length === 0) {
      throw new CodedError("Expected at least one message to answer, got none.", {
        code: "invalid_request",
      });
    }
    const room = this.info.contextTokens - prompt.length;
    if (room < 1) {
      throw new CodedError(
        `The conversation has ${prompt.length} tokens; the context holds ${this.info.contextTokens}, answer included. Shorten it, or start a new one.`,
        { code: "prompt_too_long" },
      );
    }
    const { sampling, stop, adapter, topLogprobs, shape } = request;
    return {
      prompt,
      sharedTokens: this.#sharedTokens(messages, prompt),
      sampling,
      stop,
      adapter,
      maxTokens: Math.max(1, Math.min(Math.trunc(request.maxTokens), room)),
      ...(topLogprobs === undefined ? {} : { topLogprobs }),
      ...(shape === undefined ? {} : { grammar: toGrammar(shape) }),
    };
  }

  #encode(messages: readonly ChatMessage[]): Int32Array {
    const { turn } = this.#options;
    if (turn !== undefined) return encodeTurn(this.#vocabulary, turn, messages);
    return this.#vocabulary.encodeChat(messages, { addGenerationPrompt: true });
  }

  /** How many of the prompt's tokens are its system prompt's. */
  #sharedTokens(messages: readonly ChatMessage[], prompt: Int32Array): number {
    const [first] = messages;
    if (first?.role !== "system") return 0;
    if (this.#systemPrompt?.text !== first.content) {
      const tokens = this.#vocabulary.encodeChat([first], { addGenerationPrompt: false });
      this.#systemPrompt = { text: first.content, tokens };
    }
    // The last token of both differs: what follows a turn's line end merges with it.
    return Math.min(commonPrefix(this.#systemPrompt.tokens, prompt), prompt.length - 1);
  }
}

/** The service refuses before; text that stands beside a picture must not be answered without it. */
function plainMessages(messages: readonly PromptMessage[]): readonly ChatMessage[] {
  const isPlain = !tellsOfCalls(messages) && messages.every((one) => countImages(one) === 0);
  if (isPlain) return messages.flatMap((one) => (one.role === "tool" ? [] : [one]));
  throw new CodedError("Expected plain text: pictures and calls are for other servers' models.", {
    code: "invalid_request",
  });
}

/** Zephyr's own template has no place for tools; a file's may, but is not the one that is rendered here. */
function whyNoTools(modelId: string, hasToolTemplate: boolean): string {
  const remedy =
    "Serve it by a server that renders them, such as llama-server, and set BACKEND_URL";
  return hasToolTemplate
    ? `${modelId}'s GGUF has a chat template with a place for tools, but the engine renders Zephyr's alone. ${remedy}`
    : `the chat template of ${modelId} has no place for tools. Ask for JSON by response_format instead, or use a model that was trained with them`;
}

function toGrammar(shape: AnswerShape): string {
  if (shape.type === "grammar") return shape.gbnf;
  return shape.schema === null ? jsonObjectGrammar() : schemaToGrammar(shape.schema);
}

/** BOS, the markers as control tokens, what is between them as text. */
function encodeTurn(
  vocabulary: Vocabulary,
  { before, after }: TurnMarkers,
  messages: readonly ChatMessage[],
): Int32Array {
  const text = messages.map(({ content }) => content).join("\n\n");
  return Int32Array.from([
    ...vocabulary.tokenize(before, { special: true, addBos: true }),
    ...vocabulary.tokenize(text, { special: false, addBos: false }),
    ...vocabulary.tokenize(after, { special: true, addBos: false }),
  ]);
}

/** Whether there is a place to park, and that in a sentence: a full disk must not keep anyone from chatting. */
function checkParking(parking: Parking | undefined): {
  readonly parking: Parking | undefined;
  readonly text: string;
} {
  if (parking === undefined || parking.limitBytes === 0) {
    return { parking: undefined, text: "Idle conversations are not kept on disk." };
  }
  try {
    emptyFolder(parking.folder);
    const most = `${Math.ceil(parking.limitBytes / 2 ** 20).toLocaleString("en")} MiB`;
    return {
      parking,
      text: `Idle conversations that give way go to disk, encrypted, up to ${most}.`,
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { parking: undefined, text: `Idle conversations are not kept on disk: ${why}` };
  }
}

function toLimits(
  model: LoadedModel,
  build: BuildChoice,
  options: LocalBackendOptions,
): LoopLimits {
  const gpu = build.kind !== "cpu";
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / 2));
  const { trainedTokens, parameters } = model.weights;
  const shape = {
    streams: options.streams,
    contextTokens: Math.min(options.contextTokens, trainedTokens),
    batchTokens: options.batchTokens ?? defaultBatchTokens(gpu, parameters),
    threads,
    batchThreads: threads,
    // A card is one: two contexts at once would only share it.
    lanesAtOnce: gpu ? 1 : Math.max(1, Math.floor(availableParallelism() / threads)),
    cacheType: options.cacheType ?? "f16",
    cacheSetting: options.cacheSetting ?? "auto",
    ...(options.cells === undefined ? {} : { cells: options.cells }),
    ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
  };
  return { shape, waiting: options.waiting ?? DEFAULT_WAITING };
}

function defaultBatchTokens(gpu: boolean, parameters: number): number {
  if (gpu) return BATCH_TOKENS.gpu;
  const small = parameters < SMALL_MODEL_PARAMETERS;
  return small ? BATCH_TOKENS.smallModelOnCpu : BATCH_TOKENS.largeModelOnCpu;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  } catch (error) {
    throw new CodedError(
      `Could not read the model ${path}: ${error instanceof Error ? error.message : String(error)}. Check the path, or fetch the model again.`,
      { code: "model_missing", cause: error },
    );
  }
  return hash.digest("hex");
}
