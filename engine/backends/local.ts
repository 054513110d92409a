/**
 * The local backend: a GGUF in this process, through libllama. It turns conversations into tokens and completions
 * into events; which adapter serves and who may ask is for others to know.
 */
import { CodedError } from "../base/errors.ts";
import { hashFile } from "../base/file-hash.ts";
import { Embedder } from "../llama/embedder.ts";
import { type BuildChoice, chooseBuild } from "../llama/gpu-build.ts";
import { laneNeeds } from "../llama/loop/lane-opener.ts";
import type { LaneStats } from "../llama/loop/lane-stats.ts";
import { type LoopLimits, LoopThread } from "../llama/loop/loop-thread.ts";
import type { CompletionRequest } from "../llama/loop/stream.ts";
import { describePlan, planCache } from "../llama/memory-plan.ts";
import { LoadedModel } from "../llama/model.ts";
import { jsonObjectGrammar, schemaToGrammar } from "../llama/schema-grammar.ts";
import { loadLibraries } from "../native/library.ts";
import { tuneMalloc } from "../native/malloc-tuning.ts";
import type {
  AnswerShape,
  Backend,
  BackendStats,
  Embeddings,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
  ThreadMemory,
} from "./backend.ts";
import { checkParking, type LocalBackendOptions, toLimits } from "./local-limits.ts";
import { PromptEncoder } from "./local-prompt.ts";
import type { PromptMessage } from "./prompt.ts";

/** The local backend, with its decode loop's machine-independent figures. */
export type LocalBackend = Backend & {
  laneStats(): LaneStats;
  /**
   * A backend on the same weights with contexts of its own, without adapters, for judging.
   * To be disposed before this one.
   */
  openBeside(options: { readonly streams: number; readonly contextTokens: number }): Backend;
};

/** Longer texts are no sentence or paragraph; and the buffers for them are large. */
const EMBEDDED_TOKENS = 2048;
/**
 * Chooses a build, loads the model and makes it ready.
 * @throws CodedError `library_missing`, `library_incompatible`, `model_missing`, `model_invalid`
 */
export async function openLocalBackend(options: LocalBackendOptions): Promise<LocalBackend> {
  const build = await chooseBuild(options.gpu);
  const libraries = loadLibraries(build.folder);
  tuneMalloc();
  const gpuLayers = build.kind === "cpu" ? 0 : options.gpuLayers;
  const hashing = hashModel(options.modelPath);
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
  readonly #prompts: PromptEncoder;
  #ownsModel = true;
  /** Opened when somebody first asks for an embedding. */
  #embedder: Promise<Embedder> | undefined;

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
    this.#prompts = new PromptEncoder(model.vocabulary, options.turn);
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
    return this.#prompts.encode(messages).length;
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
      this.#model.vocabulary.tokenize(text, { special: false, addBos: true }),
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

  #complete(request: GenerateRequest): CompletionRequest {
    const { messages } = request;
    const prompt = this.#prompts.encode(messages);
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
      sharedTokens: this.#prompts.sharedTokens(messages, prompt),
      sampling,
      stop,
      adapter,
      maxTokens: Math.max(1, Math.min(Math.trunc(request.maxTokens), room)),
      ...(topLogprobs === undefined ? {} : { topLogprobs }),
      ...(shape === undefined ? {} : { grammar: toGrammar(shape) }),
    };
  }
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

async function hashModel(path: string): Promise<string> {
  try {
    return await hashFile(path);
  } catch (error) {
    throw new CodedError(
      `Could not read the model ${path}: ${error instanceof Error ? error.message : String(error)}. Check the path, or fetch the model again.`,
      { code: "model_missing", cause: error },
    );
  }
}
