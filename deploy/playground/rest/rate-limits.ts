/** Rate limits of the REST API: buckets, headers, 429. https://discord.com/developers/docs/topics/rate-limits */
import { createHash } from "node:crypto";
import type { Clock } from "#engine/base/clock.ts";

/** Requests a second over all routes; interaction routes are exempt. */
const GLOBAL_PER_SECOND = 50;
/** Buckets remembered. */
const BUCKET_LIMIT = 10_000;

/** How many requests a window takes. */
export type Rule = { readonly limit: number; readonly windowMs: number };

/** Discord publishes no figures; these are those that its headers commonly say (mid-2026). */
const RULES: Readonly<Record<string, Rule>> = {
  "POST /channels/:channel/messages": { limit: 5, windowMs: 5_000 },
  "PATCH /channels/:channel/messages/:message": { limit: 5, windowMs: 5_000 },
  "DELETE /channels/:channel/messages/:message": { limit: 5, windowMs: 1_000 },
  "PUT /channels/:channel/messages/:message/reactions": { limit: 1, windowMs: 250 },
  "DELETE /channels/:channel/messages/:message/reactions": { limit: 1, windowMs: 250 },
  "POST /channels/:channel/typing": { limit: 5, windowMs: 5_000 },
  webhooks: { limit: 5, windowMs: 2_000 },
  commands: { limit: 20, windowMs: 20_000 },
};
const DEFAULT_RULE: Rule = { limit: 10, windowMs: 1_000 };

/** Whether a request may pass, and the headers that say so. */
export type Verdict =
  | { readonly passes: true; readonly headers: Readonly<Record<string, string>> }
  | {
      readonly passes: false;
      readonly headers: Readonly<Record<string, string>>;
      readonly retryAfterSeconds: number;
      readonly isGlobal: boolean;
    };

/** A 429 to be given to the next request that fits, for tests of retries. */
export type InjectedLimit = {
  readonly method: string;
  /** a part of the path, for instance "/messages" */
  readonly path: string;
  readonly retryAfterMs: number;
  readonly scope: "user" | "global" | "shared";
};

type Window = { used: number; endsAtMs: number };

/** Counts requests by bucket. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();
  readonly #injected: InjectedLimit[] = [];
  #passes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Refuses the next request that fits. */
  inject(limit: InjectedLimit): void {
    this.#injected.push(limit);
  }

  /** How many requests were let through, for tests. */
  get passed(): number {
    return this.#passes;
  }

  /** Counts a request against its bucket and the global limit. @param path below the API's version */
  take(method: string, path: string): Verdict {
    const { key, rule, isExempt } = bucketOf(method, path);
    const injected = this.#takeInjected(method, path);
    if (injected !== undefined)
      return this.#refuse(key, rule, injected.retryAfterMs, injected.scope);
    const globalWaitMs = isExempt
      ? 0
      : this.#count("global", { limit: GLOBAL_PER_SECOND, windowMs: 1_000 });
    if (globalWaitMs > 0) return this.#refuse(key, rule, globalWaitMs, "global");
    const waitMs = this.#count(key, rule);
    if (waitMs > 0) return this.#refuse(key, rule, waitMs, "user");
    this.#passes += 1;
    return { passes: true, headers: this.#headers(key, rule) };
  }

  #takeInjected(method: string, path: string): InjectedLimit | undefined {
    const index = this.#injected.findIndex(
      (each) => each.method === method && path.includes(each.path),
    );
    return index < 0 ? undefined : this.#injected.splice(index, 1)[0];
  }

  /** @returns 0 when counted, otherwise the wait in milliseconds */
  #count(key: string, rule: Rule): number {
    const now = this.#clock.monotonicMs();
    const window = this.#windows.get(key);
    if (window === undefined || window.endsAtMs <= now) {
      if (this.#windows.size >= BUCKET_LIMIT) this.#forget(now);
      this.#windows.set(key, { used: 1, endsAtMs: now + rule.windowMs });
      return 0;
    }
    if (window.used >= rule.limit) return window.endsAtMs - now;
    window.used += 1;
    return 0;
  }

  #forget(now: number): void {
    for (const [key, window] of this.#windows)
      if (window.endsAtMs <= now) this.#windows.delete(key);
  }

  #refuse(key: string, rule: Rule, waitMs: number, scope: InjectedLimit["scope"]): Verdict {
    const seconds = Math.ceil(waitMs) / 1_000;
    const isGlobal = scope === "global";
    const headers = {
      ...(isGlobal ? { "X-RateLimit-Global": "true" } : this.#headers(key, rule, waitMs)),
      "Retry-After": String(Math.ceil(seconds)),
      "X-RateLimit-Scope": scope,
    };
    return { passes: false, headers, retryAfterSeconds: seconds, isGlobal };
  }

  #headers(key: string, rule: Rule, waitMs?: number): Record<string, string> {
    const window = this.#windows.get(key);
    const leftMs = waitMs ?? Math.max(0, (window?.endsAtMs ?? 0) - this.#clock.monotonicMs());
    const remaining = waitMs === undefined ? rule.limit - (window?.used ?? 0) : 0;
    return {
      "X-RateLimit-Limit": String(rule.limit),
      "X-RateLimit-Remaining": String(Math.max(0, remaining)),
      "X-RateLimit-Reset": ((this.#clock.nowMs() + leftMs) / 1_000).toFixed(3),
      "X-RateLimit-Reset-After": (leftMs / 1_000).toFixed(3),
      "X-RateLimit-Bucket": createHash("sha256")
        .update(key.split("|")[0] ?? "")
        .digest("hex")
        .slice(0, 32),
    };
  }
}

/** The bucket of a request: its route's template, and the major parameters' own values. */
function bucketOf(method: string, path: string): { key: string; rule: Rule; isExempt: boolean } {
  const parts = path.split("/").filter((part) => part !== "");
  const [root, major = "", kind] = parts;
  if (root === "interactions")
    return { key: `${method} interactions|${parts[2]}`, rule: DEFAULT_RULE, isExempt: true };
  if (root === "webhooks") {
    return {
      key: `${method} webhooks|${major}/${parts[2]}`,
      rule: RULES["webhooks"] ?? DEFAULT_RULE,
      isExempt: true,
    };
  }
  if (root === "applications" && parts.includes("commands")) {
    return {
      key: `${method} commands|${major}`,
      rule: RULES["commands"] ?? DEFAULT_RULE,
      isExempt: false,
    };
  }
  const isMajor = root === "channels" || root === "guilds";
  const template = routeTemplate(parts);
  const rule = RULES[`${method} ${template}`] ?? DEFAULT_RULE;
  // Adding and removing reactions share one bucket on Discord.
  const verb =
    kind === "messages" && parts.includes("reactions") && method !== "GET" ? "REACT" : method;
  return { key: `${verb} ${template}|${isMajor ? major : ""}`, rule, isExempt: false };
}

function routeTemplate(parts: readonly string[]): string {
  const [root, , kind, , below] = parts;
  if (root === "channels" && kind === "messages") {
    if (below === "reactions") return "/channels/:channel/messages/:message/reactions";
    return parts.length > 3
      ? `/channels/:channel/messages/:message${below === undefined ? "" : `/${below}`}`
      : "/channels/:channel/messages";
  }
  return `/${parts.map((part, index) => (/^\d+$/.test(part) ? `:${parts[index - 1]?.replace(/s$/, "")}` : part)).join("/")}`;
}
