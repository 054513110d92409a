/**
 * Troubles that a test can order: REST requests that fail, dawdle or break off, and gateway events that
 * come twice or in another order. It knows nothing of what requests and events mean.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MiddlewareHandler } from "hono";

/** Which requests, and what happens to them. */
export type RestFault = {
  readonly method: string;
  /** A part of the path. */
  readonly path: string;
  /** How many of them; one when left out. */
  readonly times?: number;
} & (
  | { readonly kind: "status"; readonly status: number }
  /** Done in full, but told only after this long. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** Done in full, but the answer is lost: the client cannot know. */
  | { readonly kind: "lost" }
);

/** How frames of the gateway go wrong until further notice. */
export type GatewayFault = {
  /** Each event is sent twice. */
  readonly duplicate?: boolean;
  /** So many events are collected, then sent in reverse; whatever is left goes after `holdMs`. */
  readonly reverse?: number;
};

/** How long collected events wait for company, in milliseconds. */
const HOLD_MS = 50;

/** The troubles of one playground. */
export class Faults {
  #rest: { fault: RestFault; left: number }[] = [];
  #gateway: GatewayFault = {};

  /** Orders trouble for the next requests that fit. */
  rest(fault: RestFault): void {
    this.#rest.push({ fault, left: fault.times ?? 1 });
  }

  /** Orders trouble for the gateway; `{}` ends it. */
  gateway(fault: GatewayFault): void {
    this.#gateway = fault;
  }

  /** Stands before the REST routes. */
  get middleware(): MiddlewareHandler {
    return async (context, next) => {
      const fault = this.#take(context.req.method, context.req.path);
      if (fault?.kind === "status") {
        return Response.json({ message: `${fault.status}: injected`, code: 0 }, fault);
      }
      await next();
      if (fault?.kind === "slow") await sleep(fault.delayMs);
      // An answer that breaks off in its middle.
      if (fault?.kind === "lost") {
        const headers = { "Content-Type": "application/json" };
        context.res = new Response('{"id":', { status: 200, headers });
      }
      return undefined;
    };
  }

  /** A session's way of sending that does as ordered. */
  wrap(send: (text: string) => void): (text: string) => void {
    let held: string[] = [];
    const release = () => {
      const frames = held.toReversed();
      held = [];
      for (const frame of frames) send(frame);
    };
    return (text) => {
      const { duplicate = false, reverse = 0 } = this.#gateway;
      const copies = duplicate ? [text, text] : [text];
      if (reverse === 0) {
        if (held.length > 0) release();
        for (const copy of copies) send(copy);
        return;
      }
      if (held.length === 0) setTimeout(release, HOLD_MS).unref();
      held.push(...copies);
      if (held.length >= reverse) release();
    };
  }

  #take(method: string, path: string): RestFault | undefined {
    const found = this.#rest.find(
      ({ fault }) => fault.method === method && path.includes(fault.path),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#rest = this.#rest.filter((each) => each !== found);
    return found.fault;
  }
}
