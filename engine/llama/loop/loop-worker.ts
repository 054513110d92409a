/**
 * The thread that decodes: the loop with its contexts, away from the event loop that serves requests. Decoding and
 * sampling follow each other here without a word to anyone; what came of a step, or of several quick ones (outbox.ts),
 * goes out in one message while the next one computes. It reads its own messages between two steps.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { Weights } from "../weights.ts";
import { ConversationStore } from "./conversation-store.ts";
import { DecodeLoop } from "./decode-loop.ts";
import {
  type FromLoop,
  type LoopFigures,
  type LoopStart,
  NO_FIGURES,
  type Parking,
  type StreamNews,
  sameFigures,
  type ToLoop,
  toWire,
} from "./loop-wire.ts";
import { Outbox } from "./outbox.ts";
import type { CompletionRequest, Stream, StreamSink } from "./stream.ts";

/** Completions by the number that the other thread knows them by. */
class Work {
  readonly #port: MessagePort;
  readonly #store: ConversationStore | undefined;
  readonly #loop: DecodeLoop;
  readonly #streams = new Map<number, Stream>();
  readonly #calls = new Set<Promise<void>>();
  readonly #outbox = new Outbox();
  #isFlushPlanned = false;
  #told: LoopFigures = NO_FIGURES;

  constructor(port: MessagePort, { weights, shape, parking }: LoopStart) {
    this.#port = port;
    this.#store = openStore(parking);
    this.#loop = new DecodeLoop(Weights.attach(weights), {
      shape,
      store: this.#store,
      onChange: () => this.#flush(),
    });
  }

  listen(): void {
    this.#port.on("message", (message: ToLoop) => this.#take(message));
  }

  #take(message: ToLoop): void {
    switch (message.type) {
      case "submit":
        this.#submit(message.id, message.request);
        return;
      case "abort": {
        const stream = this.#streams.get(message.id);
        if (stream !== undefined) this.#loop.abort(stream);
        return;
      }
      case "adapter":
        this.#track(this.#setAdapter(message));
        return;
      case "close":
        void this.#close();
    }
  }

  #submit(id: number, request: CompletionRequest): void {
    // The next decode may be this one's prompt, which takes a while.
    this.#outbox.hurry();
    this.#flush();
    const forget = () => this.#streams.delete(id);
    const events: StreamSink = {
      push: (event) => this.#tell({ id, event }),
      end: forget,
      fail: (error) => {
        forget();
        this.#tell({ id, failure: toWire(error) });
      },
    };
    try {
      this.#streams.set(id, this.#loop.submit(request, events));
    } catch (error) {
      events.fail(error);
    }
  }

  async #setAdapter({ call, name, adapter }: Extract<ToLoop, { type: "adapter" }>): Promise<void> {
    try {
      if (adapter === null) await this.#loop.removeAdapter(name);
      else await this.#loop.addAdapter(name, adapter);
      this.#flush();
      this.#send({ type: "done", call, failure: undefined });
    } catch (error) {
      this.#send({ type: "done", call, failure: toWire(error) });
    }
  }

  #track(call: Promise<void>): void {
    this.#calls.add(call);
    void call.finally(() => this.#calls.delete(call));
  }

  async #close(): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    await Promise.all(this.#calls);
    // Nothing else keeps this thread.
    this.#port.close();
  }

  /** All that happens before the next microtask goes out together. */
  #tell(news: StreamNews): void {
    this.#outbox.add(news);
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    const nowMs = performance.now();
    const isEmpty = this.#outbox.length === 0;
    if (!isEmpty && !this.#outbox.isDue(nowMs, this.#loop.stepMs)) return;
    const { stats, cells } = this.#loop;
    // A copy: the lane goes on counting in its own.
    const figures = { lanes: { ...stats }, cells, parked: this.#store?.stats ?? NO_FIGURES.parked };
    if (isEmpty && sameFigures(figures, this.#told)) return;
    this.#send({ type: "news", news: this.#outbox.take(nowMs), figures });
    this.#told = figures;
  }

  #send(message: FromLoop): void {
    this.#port.postMessage(message);
  }
}

/** Nothing is parked where the folder went bad since the main thread looked at it: nobody is kept from chatting. */
function openStore(parking: Parking | undefined): ConversationStore | undefined {
  if (parking === undefined) return undefined;
  try {
    return new ConversationStore(parking.folder, parking.limitBytes);
  } catch {
    return undefined;
  }
}

if (parentPort !== null) new Work(parentPort, workerData).listen();
