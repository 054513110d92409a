/**
 * The bot's figures in Prometheus' text format, and its health, over HTTP. Each shard serves its own; no label
 * holds anything that people wrote. It knows Discord only by the numbers that it is given.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Logger } from "#engine/base/log.ts";
import { type Served, serve } from "../web/serve.ts";

/** What the gauges read when they are asked. */
export type FigureSources = {
  readonly shard: { readonly index: number; readonly count: number };
  /** Whether the gateway's session stands. */
  readonly isConnected: () => boolean;
  /** The gateway's last round trip in ms; negative before the first. */
  readonly pingMs: () => number;
  readonly guilds: () => number;
  readonly inFlight: () => number;
  readonly waiting: () => number;
  /** IDENTIFYs that are left of the day's budget. */
  readonly identifiesLeft: () => number;
  readonly isCircuitOpen: () => boolean;
  /** Whether Redis is there; undefined where none is used. */
  readonly isRedisUp: () => boolean | undefined;
};

/** The figures of one process. */
export class BotFigures {
  readonly #registry = new Registry();
  readonly #sources: FigureSources;
  readonly #reconnects: Counter;

  constructor(sources: FigureSources) {
    this.#sources = sources;
    const registers = [this.#registry];
    const { index, count } = sources.shard;
    this.#registry.setDefaultLabels({ shard: String(index) });
    collectDefaultMetrics({ register: this.#registry });
    this.#reconnects = new Counter({
      name: "zephyr_bot_reconnects_total",
      help: "Connections to the gateway that were lost",
      registers,
    });
    this.#gauge("zephyr_bot_shards", "Processes that share the servers", () => count);
    this.#gauge("zephyr_bot_connected", "1 while the gateway's session stands", () =>
      Number(sources.isConnected()),
    );
    this.#gauge("zephyr_bot_ping_seconds", "The gateway's last round trip", () =>
      Math.max(0, sources.pingMs() / 1_000),
    );
    this.#gauge("zephyr_bot_guilds", "Servers on this shard", sources.guilds);
    this.#gauge("zephyr_bot_answers_in_flight", "Answers in the making", sources.inFlight);
    this.#gauge("zephyr_bot_answers_waiting", "Questions that wait for a place", sources.waiting);
    this.#gauge("zephyr_bot_identifies_left", "IDENTIFYs left today, of all shards", () =>
      sources.identifiesLeft(),
    );
    this.#gauge("zephyr_bot_circuit_open", "1 while Discord refused too many requests", () =>
      Number(sources.isCircuitOpen()),
    );
    if (sources.isRedisUp() !== undefined) {
      this.#gauge("zephyr_bot_redis_up", "1 while Redis answers", () =>
        Number(sources.isRedisUp()),
      );
    }
  }

  /** The connection was lost. */
  reconnects(): void {
    this.#reconnects.inc();
  }

  /** Whether people are served. */
  get isHealthy(): boolean {
    return this.#sources.isConnected();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of them as text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      ...{ name, help },
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}

/**
 * Serves `/metrics`, and `/health`: 200 while connected, else 503.
 * @param at port 0: any free one
 * @throws CodedError `address_in_use`
 */
export function serveFigures(
  figures: BotFigures,
  at: { readonly host: string; readonly port: number },
  log: Logger,
): Promise<Served> {
  const as = {
    what: "The bot's figures",
    remedy: "Set BOT_METRICS_PORT to a free one; shards take that one and those after it.",
    log,
  };
  return serve(at, as, async (_request, response, { pathname }) => {
    if (pathname === "/metrics") {
      const text = await figures.text();
      response.writeHead(200, { "Content-Type": figures.contentType }).end(text);
    } else if (pathname === "/health") {
      const { isHealthy } = figures;
      response.writeHead(isHealthy ? 200 : 503, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ status: isHealthy ? "ok" : "not connected to Discord" }));
    } else response.writeHead(404).end();
  });
}
