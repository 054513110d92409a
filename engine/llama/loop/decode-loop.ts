/**
 * Runs completions: a queue in front, a lane for each adapter in use, lanes in turn. It works on a thread of its own
 * (loop-worker.ts), which a decode holds until it is done; where there are cores for it, lanes compute side by side.
 * It knows tokens and adapters' names, nothing of messages, files or people.
 */
import { setImmediate } from "node:timers/promises";
import { CodedError, isCoded } from "../../base/errors.ts";
import type { LlamaAdapterPointer } from "../../native/llama-struct.ts";
import type { Weights } from "../weights.ts";
import { Background } from "./background.ts";
import type { ConversationStore, Shelf } from "./conversation-store.ts";
import type { Lane } from "./lane.ts";
import { type LaneShape, openLane } from "./lane-opener.ts";
import { addStats, type LaneStats, NO_STATS } from "./lane-stats.ts";
import { type CompletionRequest, Stream, type StreamSink } from "./stream.ts";

/** What the loop works with besides the weights. */
export type LoopOptions = {
  readonly shape: LaneShape;
  /** Where idle conversations go that give way to others; the loop closes it. */
  readonly store: ConversationStore | undefined;
  /** Called after each step, and when a lane opened or closed: the figures may have changed. */
  readonly onChange: () => void;
};

/** Lanes without work that keep their memory: the serving adapter's, and one other's where caches are small. */
const MAX_IDLE_LANES = 2;
const LARGE_CACHE_BYTES = 1 << 30;

/** An adapter (or none) with the lane that computes under it, while it has one. */
class Slot {
  readonly adapter: LlamaAdapterPointer | null;
  /** Its idle conversations on disk, which outlive its lane. */
  readonly shelf: Shelf | undefined;
  lane: Lane | undefined;
  opening = false;
  /** Its context computes, or what came meanwhile is being read. */
  stepping = false;
  /** There was no memory for a lane while others were at work. */
  awaitsMemory = false;
  /** How many other lanes were open when this one was opened. */
  openedBeside = 0;
  closing: Promise<void> = Promise.resolve();
  lastUse = 0;
  /** Set when the adapter was unloaded: called once nothing runs or waits on it. */
  onDrained: (() => void) | undefined;

  constructor(adapter: LlamaAdapterPointer | null, store: ConversationStore | undefined) {
    this.adapter = adapter;
    this.shelf = store?.shelf();
  }

  get idle(): boolean {
    return this.lane !== undefined && this.lane.busy === 0;
  }
}

type Waiting = { readonly stream: Stream; readonly slot: Slot };

/** See the file's head. */
export class DecodeLoop implements AsyncDisposable {
  readonly #weights: Weights;
  readonly #shape: LaneShape;
  readonly #store: ConversationStore | undefined;
  readonly #onChange: () => void;
  readonly #maxIdleLanes: number;
  readonly #bare: Slot;
  readonly #adapters = new Map<string, Slot>();
  readonly #slots: Set<Slot>;
  readonly #background = new Background();
  #waiting: Waiting[] = [];
  #closedLanes: LaneStats = NO_STATS;
  readonly #steps = new Set<Promise<void>>();
  #turns = 0;
  #stepMs = 0;
  #disposed = false;

  constructor(weights: Weights, { shape, store, onChange }: LoopOptions) {
    this.#weights = weights;
    this.#shape = shape;
    this.#store = store;
    this.#onChange = onChange;
    this.#bare = new Slot(null, store);
    this.#slots = new Set([this.#bare]);
    const tokenBytes = weights.cacheBytesPerToken(shape.cacheType);
    const laneBytes = shape.streams * shape.contextTokens * tokenBytes;
    this.#maxIdleLanes = laneBytes > LARGE_CACHE_BYTES ? 1 : MAX_IDLE_LANES;
  }

  /** Sums over all lanes, closed ones included. */
  get stats(): LaneStats {
    return this.#openLanes().reduce((sum, lane) => addStats(sum, lane.stats), this.#closedLanes);
  }

  /** How long the last step took, milliseconds. */
  get stepMs(): number {
    return this.#stepMs;
  }

  /** KV cells of all open lanes, and how many hold something. */
  get cells(): { readonly total: number; readonly used: number } {
    return this.#openLanes().reduce(
      (sum, { cells }) => ({ total: sum.total + cells.total, used: sum.used + cells.used }),
      { total: 0, used: 0 },
    );
  }

  /**
   * Queues a completion. It keeps its adapter to its end, whatever is loaded or unloaded meanwhile.
   * @throws CodedError `adapter_unknown`
   */
  submit(request: CompletionRequest, events: StreamSink): Stream {
    if (this.#disposed) throw new Error("the decode loop was disposed already");
    const slot = request.adapter === null ? this.#bare : this.#adapters.get(request.adapter);
    if (slot === undefined) {
      throw new CodedError(
        `No adapter "${request.adapter}" is loaded. Loaded: ${[...this.#adapters.keys()].join(", ") || "none"}.`,
        { code: "adapter_unknown" },
      );
    }
    const stream = new Stream(request, this.#weights.vocabulary, events);
    this.#waiting.push({ stream, slot });
    this.#wake();
    return stream;
  }

  /** Ends a completion: at once while it waits, after the decode at work when it runs. */
  abort(stream: Stream): void {
    stream.aborted = true;
    if (this.#waiting.some((waiting) => waiting.stream === stream)) {
      this.#waiting = this.#waiting.filter((waiting) => waiting.stream !== stream);
      stream.finish("aborted");
    }
    this.#wake();
  }

  /** Makes an adapter available; settles once one of the same name has drained and may be freed. */
  async addAdapter(name: string, adapter: LlamaAdapterPointer): Promise<void> {
    const replaced = this.#adapters.get(name);
    const slot = new Slot(adapter, this.#store);
    this.#adapters.set(name, slot);
    this.#slots.add(slot);
    if (replaced !== undefined) await this.#background.run(() => this.#retire(replaced));
  }

  /** Takes an adapter away from new completions; settles once the last one on it has ended and it may be freed. */
  async removeAdapter(name: string): Promise<void> {
    const slot = this.#adapters.get(name);
    if (slot === undefined) return;
    this.#adapters.delete(name);
    await this.#background.run(() => this.#retire(slot));
  }

  /** Ends all completions as aborted and frees all contexts; adapters may be freed then. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const { stream } of this.#waiting.splice(0)) stream.finish("aborted");
    await Promise.all(this.#steps);
    for (const lane of this.#openLanes()) lane.abortAll();
    // Nothing runs any more: adapters that wait to be freed can be, lanes that are opening end up idle.
    this.#settle();
    await this.#background.ended();
    for (const slot of this.#slots) {
      await this.#closeLane(slot);
    }
    this.#slots.clear();
    await this.#store?.[Symbol.asyncDispose]();
  }

  get #busy(): number {
    return this.#openLanes().reduce((sum, lane) => sum + lane.busy, 0);
  }

  #openLanes(): readonly Lane[] {
    return [...this.#slots].flatMap(({ lane }) => (lane === undefined ? [] : [lane]));
  }

  /** Lets the lanes that are due compute, as many at once as there are cores for. */
  #wake(): void {
    if (this.#disposed) return;
    this.#admit();
    const busy = [...this.#slots].filter((slot) => (slot.lane?.busy ?? 0) > 0);
    // Whose last step is longest ago.
    const due = busy.filter((slot) => !slot.stepping).toSorted((a, b) => a.lastUse - b.lastUse);
    const aside = this.#shape.lanesAtOnce > 1 && busy.length > 1;
    for (const slot of due) {
      if (this.#steps.size >= this.#shape.lanesAtOnce) return;
      const step = this.#step(slot, aside);
      this.#steps.add(step);
      void step.then(() => {
        this.#steps.delete(step);
        this.#wake();
      });
    }
  }

  async #step(slot: Slot, aside: boolean): Promise<void> {
    const { lane } = slot;
    if (lane === undefined) return;
    this.#turns += 1;
    slot.lastUse = this.#turns;
    slot.stepping = true;
    const startMs = performance.now();
    try {
      await lane.step(aside);
    } catch (error) {
      lane.failAll(error);
    }
    this.#stepMs = performance.now() - startMs;
    this.#settle();
    // Requests and aborts that came meanwhile are read now, all of them before the next step.
    await setImmediate();
    slot.stepping = false;
  }

  /** Starts waiting completions in their order, as far as streams are free and lanes open. */
  #admit(): void {
    let free = this.#shape.streams - this.#busy;
    const full = new Set<Slot>();
    this.#waiting = this.#waiting.filter(({ stream, slot }) => {
      // Whoever is next may need more cells than those behind: were they let past, it might wait for ever.
      if (free <= 0 || full.has(slot)) return true;
      if (slot.stepping) {
        full.add(slot);
        return true;
      }
      if (slot.lane === undefined) {
        if (!slot.awaitsMemory) this.#openInBackground(slot);
        return true;
      }
      if (!tryAdmit(slot.lane, stream)) {
        full.add(slot);
        return true;
      }
      free -= 1;
      this.#turns += 1;
      slot.lastUse = this.#turns;
      return false;
    });
  }

  #openInBackground(slot: Slot): void {
    if (slot.opening) return;
    slot.opening = true;
    void this.#background.run(async () => {
      try {
        const makeRoom = () => this.#closeIdle(0);
        slot.openedBeside = this.#openLanes().length;
        slot.lane = await openLane(this.#weights, slot, this.#shape, makeRoom);
      } catch (error) {
        // Others hold the memory and will be done: better late than refused.
        slot.awaitsMemory = isCoded(error, "out_of_memory") && this.#busy > 0;
        if (!slot.awaitsMemory) this.#failWaiting(slot, error);
      }
      slot.opening = false;
      this.#settle();
      this.#wake();
    });
  }

  #failWaiting(slot: Slot, error: unknown): void {
    const lost = this.#waiting.filter((waiting) => waiting.slot === slot);
    this.#waiting = this.#waiting.filter((waiting) => waiting.slot !== slot);
    for (const { stream } of lost) stream.fail(error);
  }

  /** Frees what nobody needs any more; called between steps. */
  #settle(): void {
    this.#onChange();
    for (const slot of this.#slots) {
      if (slot.onDrained !== undefined && !this.#isUsed(slot)) slot.onDrained();
    }
    const idle = [...this.#slots].filter((slot) => slot.idle);
    if (idle.length > 0) for (const slot of this.#slots) slot.awaitsMemory = false;
    const surplus = idle.length > this.#maxIdleLanes;
    if (surplus) void this.#background.run(() => this.#closeIdle(this.#maxIdleLanes));
    else if (idle.some((slot) => this.#isCramped(slot))) {
      void this.#background.run(() => this.#closeIdle(0));
    }
  }

  /** It got fewer streams because other lanes held memory that is free now: the next use opens it in full. */
  #isCramped({ lane, openedBeside }: Slot): boolean {
    if (lane === undefined || openedBeside === 0) return false;
    return lane.streams < this.#shape.streams && this.#openLanes().length === 1;
  }

  #isUsed(slot: Slot): boolean {
    const waits = this.#waiting.some((waiting) => waiting.slot === slot);
    return waits || slot.opening || (slot.lane?.busy ?? 0) > 0;
  }

  /** Closes the idle lanes beyond the `kept` ones used last. */
  async #closeIdle(kept: number): Promise<void> {
    const idle = [...this.#slots].filter((slot) => slot.idle && !this.#isUsed(slot));
    const surplus = idle.toSorted((a, b) => b.lastUse - a.lastUse).slice(kept);
    for (const slot of surplus) {
      // Closing the one before took a while: this one may be in use again.
      if (!this.#isUsed(slot)) await this.#closeLane(slot);
    }
  }

  /** Settles when the slot's context is freed, whoever began that. */
  async #closeLane(slot: Slot): Promise<void> {
    const { lane } = slot;
    if (lane !== undefined) {
      slot.lane = undefined;
      this.#closedLanes = addStats(this.#closedLanes, lane.stats);
      slot.closing = lane[Symbol.asyncDispose]();
      this.#onChange();
    }
    await slot.closing;
  }

  async #retire(slot: Slot): Promise<void> {
    if (this.#isUsed(slot)) {
      await new Promise<void>((resolve) => {
        slot.onDrained = resolve;
      });
    }
    slot.onDrained = undefined;
    this.#slots.delete(slot);
    await this.#closeLane(slot);
    slot.shelf?.clear();
  }
}

/** A completion that cannot even begin fails by itself; the loop goes on. */
function tryAdmit(lane: Lane, stream: Stream): boolean {
  try {
    return lane.admit(stream);
  } catch (error) {
    stream.fail(error);
    return true;
  }
}
