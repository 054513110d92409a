/**
 * Opens the port, and ends without cutting anyone off: drains what runs, then closes.
 * It knows nothing of what the routes do.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Backend } from "../backends/backend.ts";
import type { Clock } from "../base/clock.ts";
import { CodedError, systemCode } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Moderation } from "../moderation/moderator.ts";
import type { ServingAdapters } from "./adapters/serving-adapters.ts";
import { createApp } from "./app.ts";
import type { ImageUrls } from "./chat/chat-images.ts";
import { FairQueue } from "./fair-queue.ts";
import { Metrics } from "./metrics.ts";

/** Longer than clients and proxies keep an idle connection, so that it is theirs to close it. */
const KEEP_ALIVE_MS = 65_000;

/** Without a guard a check is a few milliseconds of this process's own time. */
const USUAL_CHECK_STREAMS = 32;

/** What the service is made of. */
export type ServiceOptions = {
  readonly backend: Backend;
  readonly adapters: ServingAdapters;
  readonly moderation: Moderation;
  readonly clock: Clock;
  readonly log: Logger;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly queueLimit: number;
  /** Inputs that are checked at the same time; as many as a guard has streams. */
  readonly checkStreams?: number;
  /** For requests that name none: from arrival to the last token. */
  readonly deadlineMs: number;
  /** Any of them is accepted; none: no key is needed. */
  readonly apiKeys?: readonly string[];
  /** `data` unless told otherwise. */
  readonly imageUrls?: ImageUrls;
};

/** A listening service. */
export type Service = {
  readonly url: string;
  /**
   * Takes no new requests, lets those that run and wait finish for up to `graceMs`, ends the rest with
   * an error, then closes the port. The backend stays open. A second call awaits the first.
   */
  drain(graceMs: number): Promise<void>;
};

/**
 * Starts listening.
 * @throws CodedError `address_in_use`, or `config_invalid` when the host is no address of this machine
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { backend, clock, host } = options;
  const queue = new FairQueue({ slots: backend.info.streams, limit: options.queueLimit, clock });
  const { queueLimit: limit, checkStreams: slots = USUAL_CHECK_STREAMS } = options;
  const checks = new FairQueue({ slots, limit, clock });
  const stop = new AbortController();
  let draining: Promise<void> | undefined;
  const app = createApp({
    backend,
    adapters: options.adapters,
    moderation: options.moderation,
    queue,
    checks,
    metrics: new Metrics({ backend, queue, adapters: options.adapters }),
    deadlineMs: options.deadlineMs,
    clock,
    log: options.log,
    apiKeys: options.apiKeys ?? [],
    imageUrls: options.imageUrls ?? "data",
    isLoopback: isLoopbackHost(host),
    isDraining: () => draining !== undefined,
    stopped: stop.signal,
  });
  const requests = new RequestCount();
  const server = createAdaptorServer({ fetch: app.fetch });
  if (!("closeIdleConnections" in server)) throw new Error("expected a plain HTTP server");
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on("request", (_request, response) => requests.follow(response));
  await listen(server, host, options.port);
  return {
    url: urlOf(server, host),
    drain: (graceMs) => {
      draining ??= drain(server, requests, stop, graceMs);
      return draining;
    },
  };
}

/** Counts answers that are being written, so that draining knows when none is left. */
class RequestCount {
  #open = 0;
  #onIdle: () => void = () => {};

  follow(response: { once(event: "close", listener: () => void): unknown }): void {
    this.#open += 1;
    response.once("close", () => {
      this.#open -= 1;
      if (this.#open === 0) this.#onIdle();
    });
  }

  async idle(): Promise<void> {
    if (this.#open === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }
}

async function drain(
  server: Server,
  requests: RequestCount,
  stop: AbortController,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const timer = setTimeout(() => stop.abort(), graceMs);
  await requests.idle();
  clearTimeout(timer);
  server.closeAllConnections();
  await closed;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(explainListenError(error, host, port)));
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function explainListenError(error: Error, host: string, port: number): Error {
  switch (systemCode(error)) {
    case "EADDRINUSE":
      return new CodedError(
        `Port ${port} on ${host} is taken by another process. Stop that one (perhaps an engine that already runs), or set ENGINE_PORT to a free port; 0 takes any.`,
        { code: "address_in_use", cause: error },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new CodedError(
        `ENGINE_HOST: ${host} is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for every address.`,
        { code: "config_invalid", cause: error },
      );
    case "EACCES":
      return new CodedError(
        `Port ${port} needs more rights than this user has. Set ENGINE_PORT to 1024 or above.`,
        { code: "config_invalid", cause: error },
      );
    default:
      return error;
  }
}

/** The address to reach the service at; every address is reached by loopback. */
function urlOf(server: Server, host: string): string {
  const address = server.address();
  const port = isAddressInfo(address) ? address.port : 0;
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
