/**
 * Figures of the service in Prometheus' text format: what happened as counters and histograms, what is the
 * case as gauges that are read when they are asked for. No label holds anything that people wrote.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Backend } from "../backends/backend.ts";
import type { ServingAdapters } from "./adapters/serving-adapters.ts";
import type { FairQueue } from "./fair-queue.ts";

/** A request that is over; times in ms since it came, undefined where it did not get that far. */
export type RequestRecord = {
  /** `stop`, `length`, `content_filter`, `aborted` or `failed`. */
  readonly outcome: string;
  readonly adapter: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly queuedMs: number | undefined;
  readonly firstTextMs: number | undefined;
  readonly totalMs: number;
};

/** A verdict of the checks that was acted upon. */
export type VerdictRecord = {
  readonly stage: "input" | "output";
  readonly action: "warn" | "block";
  readonly category: string;
};

/** What gauges read. */
type Sources = {
  readonly backend: Backend;
  readonly queue: FairQueue;
  readonly adapters: ServingAdapters;
};

const BASE = "base";
/** Each night may bring an adapter: those that answered last are told apart, the figures of older ones end. */
const MOST_ADAPTERS = 16;
/** Seconds; a queue may be long, a first token should be quick. */
const WAIT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const TOTAL_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320];

/** The metrics of one service, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"outcome" | "adapter">;
  readonly #refused: Counter<"status" | "code">;
  readonly #tokens: Counter<"kind" | "adapter">;
  readonly #verdicts: Counter<"stage" | "action" | "category">;
  readonly #queueSeconds: Histogram;
  readonly #firstTextSeconds: Histogram;
  readonly #totalSeconds: Histogram;
  /** The outcomes that stand in the figures, by adapter, whoever answered last at the end. */
  readonly #outcomes = new Map<string, Set<string>>();

  constructor(sources: Sources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: "zephyr_requests_total",
      help: "Completions that are over, by how they ended and which adapter answered",
      labelNames: ["outcome", "adapter"],
      registers,
    });
    this.#refused = new Counter({
      name: "zephyr_refused_total",
      help: "Requests that were answered with an error",
      labelNames: ["status", "code"],
      registers,
    });
    this.#tokens = new Counter({
      name: "zephyr_tokens_total",
      help: "Tokens of prompts and completions",
      labelNames: ["kind", "adapter"],
      registers,
    });
    this.#verdicts = new Counter({
      name: "zephyr_verdicts_total",
      help: "Texts that the checks blocked or noted, by hazard",
      labelNames: ["stage", "action", "category"],
      registers,
    });
    const seconds = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name, help, buckets, registers });
    this.#queueSeconds = seconds("zephyr_queue_seconds", "Wait for a free stream", WAIT_BUCKETS);
    this.#firstTextSeconds = seconds(
      "zephyr_first_text_seconds",
      "From a request's arrival to its first checked text",
      WAIT_BUCKETS,
    );
    this.#totalSeconds = seconds("zephyr_request_seconds", "Of whole requests", TOTAL_BUCKETS);
    this.#addGauges(sources);
  }

  /** Counts a completion that is over. */
  record({ outcome, adapter, ...figures }: RequestRecord): void {
    const name = adapter ?? BASE;
    this.#remember(name, outcome);
    this.#requests.inc({ outcome, adapter: name });
    this.#tokens.inc({ kind: "prompt", adapter: name }, figures.promptTokens);
    this.#tokens.inc({ kind: "completion", adapter: name }, figures.completionTokens);
    if (figures.queuedMs !== undefined) this.#queueSeconds.observe(figures.queuedMs / 1000);
    if (figures.firstTextMs !== undefined) {
      this.#firstTextSeconds.observe(figures.firstTextMs / 1000);
    }
    this.#totalSeconds.observe(figures.totalMs / 1000);
  }

  /** Counts an error answer. */
  recordRefusal(status: number, code: string): void {
    this.#refused.inc({ status, code });
  }

  /** Counts a verdict. */
  recordVerdict({ stage, action, category }: VerdictRecord): void {
    this.#verdicts.inc({ stage, action, category });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #remember(adapter: string, outcome: string): void {
    const outcomes = this.#outcomes.get(adapter) ?? new Set();
    this.#outcomes.delete(adapter);
    this.#outcomes.set(adapter, outcomes.add(outcome));
    const [oldest] = this.#outcomes;
    if (oldest === undefined || this.#outcomes.size <= MOST_ADAPTERS) return;
    const [gone, its] = oldest;
    this.#outcomes.delete(gone);
    for (const one of its) this.#requests.remove({ outcome: one, adapter: gone });
    for (const kind of ["prompt", "completion"]) this.#tokens.remove({ kind, adapter: gone });
  }

  #addGauges({ backend, queue, adapters }: Sources): void {
    this.#gauge("zephyr_queue_waiting", "Choices that wait", () => queue.counts.waiting);
    this.#gauge("zephyr_queue_running", "Choices that run", () => queue.counts.running);
    this.#gauge("zephyr_streams", "Choices that may run at once", () => backend.info.streams);
    this.#gauge(
      "zephyr_decodes",
      "Batches computed since the start; tokens by batches is the mean batch size",
      () => backend.stats().decodes,
    );
    this.#gauge(
      "zephyr_decoded_tokens",
      "Tokens computed since the start, those of prompts included",
      () => backend.stats().decodedTokens,
    );
    this.#gauge("zephyr_kv_cells", "Cells of the KV cache", () => backend.stats().cache?.cells);
    this.#gauge(
      "zephyr_kv_cells_used",
      "Cells that hold a token",
      () => backend.stats().cache?.usedCells,
    );
    this.#gauge(
      "zephyr_kv_reused_tokens",
      "Prompt tokens that were not computed again",
      () => backend.stats().cache?.reusedTokens,
    );
    this.#addThreads(backend);
    const active = new Gauge({
      name: "zephyr_adapter_active",
      help: "1 for the adapter that answers requests which name none",
      labelNames: ["adapter"],
      registers: [this.#registry],
      collect: () => {
        active.reset();
        active.set({ adapter: adapters.active ?? BASE }, 1);
      },
    });
  }

  /** The default figures know the heap of the thread that serves requests alone. */
  #addThreads(backend: Backend): void {
    const figures = [
      ["heap", "JavaScript heap of a thread beside the main one", "heapBytes"],
      ["heap_used", "The part of that heap which holds something", "usedBytes"],
      ["external", "Buffers of such a thread outside its heap", "externalBytes"],
    ] as const;
    for (const [part, help, bytes] of figures) {
      const gauge = new Gauge({
        name: `zephyr_thread_${part}_bytes`,
        help,
        labelNames: ["thread"],
        registers: [this.#registry],
        collect: async () => {
          const threads = (await backend.threadMemory?.()) ?? [];
          gauge.reset();
          for (const one of threads) gauge.set({ thread: one.thread }, one[bytes]);
        },
      });
    }
  }

  /** A gauge that is left out while there is nothing to read. */
  #gauge(name: string, help: string, read: () => number | undefined): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect: () => {
        const value = read();
        if (value === undefined) gauge.reset();
        else gauge.set(value);
      },
    });
  }
}
