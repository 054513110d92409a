/**
 * The decode loop as the rest of the engine sees it: it runs on a thread of its own (loop-worker.ts), so that neither
 * waits for the other. How many run and wait is counted here, where requests come in.
 */
import { setTimeout } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { CodedError } from "../../base/errors.ts";
import type { LlamaAdapterPointer } from "../../native/llama-struct.ts";
import type { LoadedModel } from "../model.ts";
import { Background } from "./background.ts";
import { EventQueue } from "./event-queue.ts";
import type { LaneShape } from "./lane-opener.ts";
import {
  type FromLoop,
  fromWire,
  type LoopFigures,
  type LoopStart,
  NO_FIGURES,
  type Parking,
  type StreamNews,
  type ToLoop,
} from "./loop-wire.ts";
import type { CompletionRequest, StreamEvent } from "./stream.ts";

/** It answers after the decode at work; whoever reads the figures should not wait for ever where that hangs. */
const MEMORY_WITHIN_MS = 1_000;

/** How much runs and waits at once. */
export type LoopLimits = {
  readonly shape: LaneShape;
  /** Completions that may wait for a stream. */
  readonly waiting: number;
};

/** A completion that was asked for. */
export type RunningCompletion = {
  readonly id: number;
  readonly events: EventQueue<StreamEvent>;
  /** It has its stream. */
  started: boolean;
};

type Call = { readonly resolve: () => void; readonly reject: (error: Error) => void };

/** See the file's head. */
export class LoopThread implements AsyncDisposable {
  readonly #model: LoadedModel;
  readonly #limits: LoopLimits;
  readonly #worker: Worker;
  readonly #completions = new Map<number, RunningCompletion>();
  readonly #adapters = new Map<string, LlamaAdapterPointer>();
  readonly #calls = new Map<number, Call>();
  readonly #background = new Background();
  readonly #end: Promise<void>;
  #figures = NO_FIGURES;
  #next = 0;
  #failure: Error | undefined;
  #isClosing = false;

  /** @param parking where idle conversations go that give way to others; undefined: nowhere */
  constructor(model: LoadedModel, limits: LoopLimits, parking: Parking | undefined) {
    this.#model = model;
    this.#limits = limits;
    const { weights } = model;
    const start: LoopStart = {
      weights: weights.address,
      shape: limits.shape,
      parking,
    };
    this.#worker = new Worker(new URL("./loop-worker.ts", import.meta.url), {
      name: "decode-loop",
      workerData: start,
      execArgv: [],
    });
    this.#worker.on("message", (message: FromLoop) => this.#take(message));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#end = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#fail(undefined);
        resolve();
      });
    });
    this.#holdProcess();
  }

  /** Completions that have no stream yet. */
  get waiting(): number {
    return this.#completions.size - this.busy;
  }

  /** Completions that have their stream. */
  get busy(): number {
    let started = 0;
    for (const completion of this.#completions.values()) if (completion.started) started += 1;
    return started;
  }

  get adapters(): readonly string[] {
    return [...this.#adapters.keys()];
  }

  /** As of the events that came last. */
  get figures(): LoopFigures {
    return this.#figures;
  }

  /** What the thread keeps in JavaScript, bytes; undefined once it has ended, or where a decode keeps it too long. */
  async memory(): Promise<
    | { readonly heapBytes: number; readonly usedBytes: number; readonly externalBytes: number }
    | undefined
  > {
    if (this.#failure !== undefined) return undefined;
    try {
      const late = setTimeout(MEMORY_WITHIN_MS, undefined, { ref: false });
      const heap = await Promise.race([this.#worker.getHeapStatistics(), late]);
      if (heap === undefined) return undefined;
      return {
        heapBytes: heap.total_heap_size,
        usedBytes: heap.used_heap_size,
        externalBytes: heap.external_memory,
      };
    } catch {
      // It ended meanwhile, which those who wait for answers hear of.
      return undefined;
    }
  }

  /**
   * Queues a completion. It keeps its adapter to its end, whatever is loaded or unloaded meanwhile.
   * @throws CodedError `adapter_unknown`, `queue_full`; `native_failed` when the thread is gone
   */
  submit(request: CompletionRequest): RunningCompletion {
    if (this.#failure !== undefined) throw this.#failure;
    if (request.adapter !== null && !this.#adapters.has(request.adapter)) {
      throw new CodedError(
        `No adapter "${request.adapter}" is loaded. Loaded: ${this.adapters.join(", ") || "none"}.`,
        { code: "adapter_unknown" },
      );
    }
    const { waiting, busy } = this;
    const free = this.#limits.shape.streams - busy;
    if (waiting >= this.#limits.waiting + Math.max(0, free)) {
      throw new CodedError(
        `${waiting} requests are waiting already, at most ${this.#limits.waiting} may. Try again in a moment.`,
        { code: "queue_full" },
      );
    }
    const completion = {
      id: this.#number(),
      events: new EventQueue<StreamEvent>(),
      started: false,
    };
    this.#completions.set(completion.id, completion);
    this.#send({ type: "submit", id: completion.id, request });
    this.#holdProcess();
    return completion;
  }

  /** Ends a completion: at once while it waits, after the decode at work when it runs. */
  abort({ id, started, events }: RunningCompletion): void {
    if (!this.#completions.has(id)) return;
    this.#send({ type: "abort", id });
    if (started) return;
    events.push({ type: "end", reason: "aborted", completionTokens: 0 });
    this.#forget(id);
    events.end();
  }

  /** Makes an adapter available; one of the same name drains and is freed. */
  async addAdapter(name: string, adapter: LlamaAdapterPointer): Promise<void> {
    const replaced = this.#adapters.get(name);
    this.#adapters.set(name, adapter);
    await this.#background.run(async () => {
      await this.#call(name, adapter);
      if (replaced !== undefined) await this.#model.freeAdapter(replaced);
    });
  }

  /** Takes an adapter away from new completions; settles once the last one on it has ended and it is freed. */
  async removeAdapter(name: string): Promise<void> {
    const adapter = this.#adapters.get(name);
    if (adapter === undefined) return;
    this.#adapters.delete(name);
    await this.#background.run(async () => {
      await this.#call(name, null);
      await this.#model.freeAdapter(adapter);
    });
  }

  /** Ends all completions as aborted and frees all contexts and adapters. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    this.#holdProcess();
    this.#failure ??= new Error("the decode loop was disposed already");
    this.#send({ type: "close" });
    await this.#end;
    await this.#background.ended();
    const left = [...this.#adapters.values()];
    this.#adapters.clear();
    for (const adapter of left) await this.#model.freeAdapter(adapter);
  }

  #take(message: FromLoop): void {
    if (message.type === "news") {
      this.#figures = message.figures;
      for (const news of message.news) this.#report(news);
    } else {
      const call = this.#calls.get(message.call);
      this.#calls.delete(message.call);
      if (message.failure === undefined) call?.resolve();
      else call?.reject(fromWire(message.failure));
    }
    this.#holdProcess();
  }

  #report(news: StreamNews): void {
    const completion = this.#completions.get(news.id);
    // Aborted while it waited: its reader has left.
    if (completion === undefined) return;
    if ("failure" in news) {
      this.#forget(news.id);
      completion.events.fail(fromWire(news.failure));
      return;
    }
    const { event } = news;
    completion.events.push(event);
    if (event.type === "start") completion.started = true;
    if (event.type !== "end") return;
    this.#forget(news.id);
    completion.events.end();
  }

  #forget(id: number): void {
    this.#completions.delete(id);
    this.#holdProcess();
  }

  /** The thread has ended: whoever waits for it is told why. */
  #fail(cause: unknown): void {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    const failure = new CodedError(`The decoding thread has ended${why}. Restart the engine.`, {
      code: "native_failed",
      cause,
    });
    this.#failure ??= failure;
    for (const { events } of this.#completions.values()) events.fail(failure);
    for (const { reject } of this.#calls.values()) reject(failure);
    this.#completions.clear();
    this.#calls.clear();
  }

  async #call(name: string, adapter: LlamaAdapterPointer | null): Promise<void> {
    const call = this.#number();
    await new Promise<void>((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#send({ type: "adapter", call, name, adapter });
      this.#holdProcess();
    });
  }

  /** As with any other work, a thread that has nothing to do keeps no process alive. */
  #holdProcess(): void {
    const isAtWork = this.#isClosing || this.#completions.size + this.#calls.size > 0;
    if (isAtWork) this.#worker.ref();
    else this.#worker.unref();
  }

  #number(): number {
    this.#next += 1;
    return this.#next;
  }

  #send(message: ToLoop): void {
    this.#worker.postMessage(message);
  }
}
