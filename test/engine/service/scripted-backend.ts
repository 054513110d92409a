/**
 * A backend whose timing tests control: each completion says a script, or waits for the test's word.
 * Only for what cannot be timed with a real model: queues, failures, people who leave.
 */
import { setImmediate } from "node:timers/promises";
import type {
  Backend,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
} from "#engine/backends/backend.ts";
import type { PromptMessage, ToolCallDelta } from "#engine/backends/prompt.ts";
import { CodedError } from "#engine/base/errors.ts";
import { Channel } from "#engine/service/channel.ts";

/** A completion that runs until the test ends it. */
export class ScriptedRun {
  readonly request: GenerateRequest;
  readonly events = new Channel<GenerateEvent>();
  isAborted = false;
  #tokens = 0;

  constructor(request: GenerateRequest) {
    this.request = request;
    request.signal.addEventListener("abort", () => {
      this.isAborted = true;
      this.end("aborted");
    });
  }

  say(text: string): void {
    this.#tokens += 1;
    const bytes = [...Buffer.from(text)];
    const token = { token: text, bytes, logprob: -0.5 };
    const alternatives = [
      token,
      { token: "faggot", bytes: [1], logprob: Number.NEGATIVE_INFINITY },
    ];
    const { topLogprobs } = this.request;
    const logprobs = [{ ...token, top: alternatives.slice(0, topLogprobs ?? 0) }];
    this.events.push({
      type: "text",
      text,
      tokenIds: [this.#tokens],
      ...(topLogprobs === undefined ? {} : { logprobs }),
    });
  }

  call(delta: ToolCallDelta): void {
    this.#tokens += 1;
    this.events.push({ type: "tool", ...delta });
  }

  end(reason: "stop" | "length" | "tool_calls" | "aborted" = "stop"): void {
    this.events.push({ type: "end", reason, completionTokens: this.#tokens });
    this.events.close();
  }

  fail(error: Error): void {
    this.events.fail(error);
  }
}

/** A backend that runs scripts. */
export class ScriptedBackend implements Backend {
  readonly info: ModelInfo;
  readonly runs: ScriptedRun[] = [];
  readonly #adapters = new Set<string>();
  #script: ((run: ScriptedRun) => void) | undefined;

  constructor(
    options: {
      streams?: number;
      script?: (run: ScriptedRun) => void;
      /** Takes pictures and tools, as some other servers' models do. */
      isAble?: boolean;
    } = {},
  ) {
    const able = { can: true } as const;
    const unable = { can: false, why: "the script reads text alone" } as const;
    this.#script = options.script;
    this.info = {
      id: "scripted",
      path: "/scripted.gguf",
      sha256: "5c".repeat(32),
      parameters: 1_000,
      contextTokens: 64,
      streams: options.streams ?? 2,
      device: "a script",
      tools: options.isAble === true ? able : unable,
      images: options.isAble === true ? able : unable,
    };
  }

  async *generate(request: GenerateRequest): AsyncIterable<GenerateEvent> {
    const run = new ScriptedRun(request);
    this.runs.push(run);
    this.#script?.(run);
    const promptTokens = this.countTokens(request.messages);
    yield { type: "start", promptTokens, adapter: request.adapter };
    yield* run.events;
  }

  /** Awaits the run that began as number `index`. */
  async run(index: number): Promise<ScriptedRun> {
    return until(() => this.runs[index]);
  }

  countTokens(messages: readonly PromptMessage[]): number {
    return messages.reduce((sum, { content }) => sum + content.split(/\s+/).length + 1, 0);
  }

  async loadAdapter(name: string, path: string): Promise<void> {
    if (path.includes("unloadable")) {
      throw new CodedError(`Adapter ${name} cannot be parsed.`, { code: "adapter_corrupt" });
    }
    this.#adapters.add(name);
  }

  async unloadAdapter(name: string): Promise<void> {
    this.#adapters.delete(name);
  }

  loadedAdapters(): readonly string[] {
    return [...this.#adapters];
  }

  stats() {
    return { decodes: 0, decodedTokens: 0, busyStreams: 0, waiting: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Awaits that `read` gives something, through turns of the event loop and never a fixed time. */
export async function until<T>(read: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (let turn = 0; turn < 100_000; turn++) {
    const value = await read();
    if (value !== undefined && value !== null && value !== false) return value;
    await setImmediate();
  }
  throw new Error("what the test waited for never came");
}
