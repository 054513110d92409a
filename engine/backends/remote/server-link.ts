/**
 * One remote server over HTTP: its key, its errors in our codes, retries before an answer begins, and the
 * circuit breaker around all of it. It knows no vendor and no chat.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { CodedError, type ErrorCode } from "../../base/errors.ts";
import { Circuit, type CircuitState } from "./circuit.ts";
import { type Pause, Transient, withRetries } from "./retry.ts";

/** How to reach a server. */
export type LinkOptions = {
  /** The server's root, with or without `/v1`. */
  readonly url: string;
  readonly apiKey?: string | undefined;
  readonly clock: Clock;
  readonly pause?: Pause;
  /** The settings that say where it is, for whoever has to mend them; those of the backend unless told. */
  readonly settings?: string;
};

/** One request. */
export type LinkRequest = {
  readonly method?: "GET" | "POST" | "DELETE" | "HEAD";
  /** From the root: `/v1/models`. */
  readonly path: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
  /** Statuses that are an answer besides those of success. */
  readonly accept?: readonly number[];
};

const SYSTEM_PAUSE: Pause = {
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal });
  },
  random: Math.random,
};
/** Until an answer's head; a long prompt may take minutes on a slow machine. */
const HEAD_TIMEOUT_MS = 300_000;
const EXPLANATION_CHARACTERS = 300;
const BACKEND_SETTINGS = "BACKEND_URL, BACKEND_KIND and BACKEND_API_KEY";

/** See the file's head. */
export class ServerLink {
  readonly url: string;
  readonly #headers: Record<string, string>;
  readonly #pause: Pause;
  readonly #circuit: Circuit;
  readonly #settings: string;

  constructor({ url, apiKey, clock, ...options }: LinkOptions) {
    const { pause = SYSTEM_PAUSE, settings = BACKEND_SETTINGS } = options;
    this.#settings = settings;
    this.url = url.replace(/\/+$/, "").replace(/\/v1$/, "");
    this.#headers = {
      "content-type": "application/json",
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    };
    this.#pause = pause;
    this.#circuit = new Circuit(clock);
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  /**
   * Sends a request; an answer of success, or of a status in `accept`.
   * @throws CodedError `backend_unreachable`, `prompt_too_long`, `model_unknown`, `queue_full`,
   *   `backend_refused`; the signal's reason
   */
  async send(request: LinkRequest): Promise<Response> {
    return withRetries(() => this.#attempt(request), {
      pause: this.#pause,
      signal: request.signal,
    });
  }

  /** As `send`, with the answer's JSON. */
  async json(request: LinkRequest): Promise<unknown> {
    const response = await this.send(request);
    try {
      const body: unknown = await response.json();
      return body;
    } catch (error) {
      request.signal.throwIfAborted();
      throw this.unreachable("its answer is not JSON", error);
    }
  }

  /** What to say of a server that does not answer as it should. */
  unreachable(what: string, cause?: unknown): CodedError {
    return new CodedError(
      `The server at ${this.url} does not answer as expected (${what}). Check that it runs, and ${this.#settings}.`,
      { code: "backend_unreachable", cause },
    );
  }

  async #attempt(request: LinkRequest): Promise<Response> {
    const waitMs = this.#circuit.refusal();
    if (waitMs !== undefined) {
      throw this.unreachable(`it failed repeatedly; tried again in ${Math.ceil(waitMs / 1000)} s`);
    }
    const response = await this.#fetch(request);
    if (response.status >= 500) this.#circuit.fail();
    else this.#circuit.succeed();
    if (response.ok || request.accept?.includes(response.status) === true) return response;
    throw await this.#refusal(response);
  }

  async #fetch({ method = "GET", path, body, signal }: LinkRequest): Promise<Response> {
    const head = new AbortController();
    const timer = setTimeout(() => head.abort(new Error("no answer in time")), HEAD_TIMEOUT_MS);
    try {
      return await fetch(this.url + path, {
        method,
        headers: this.#headers,
        signal: AbortSignal.any([signal, head.signal]),
        ...(body === undefined ? {} : { body: toBody(body) }),
      });
    } catch (error) {
      if (signal.aborted) {
        this.#circuit.forget();
        throw signal.reason;
      }
      this.#circuit.fail();
      throw new Transient(this.unreachable("no connection", error), { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async #refusal(response: Response): Promise<Error> {
    const { status } = response;
    const text = await response.text().catch(() => "");
    const why = explanationIn(text);
    const error = new CodedError(`The server at ${this.url} refused (${status}): ${why}`, {
      code: codeOf(status, why),
    });
    const isPassing = status === 429 || status === 502 || status === 503 || status === 504;
    if (!isPassing) return error;
    return new Transient(error, { retryAfterMs: retryAfterMs(response) });
  }
}

function toBody(body: unknown): string | Uint8Array<ArrayBuffer> {
  return body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body);
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

/** OpenAI's `{error: {message}}`, Ollama's `{error}`, FastAPI's `{detail}`, or the text itself. */
function explanationIn(text: string): string {
  const found = /"(?:message|error|detail)"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
  return found.slice(0, EXPLANATION_CHARACTERS) || "without a reason";
}

function codeOf(status: number, why: string): ErrorCode {
  if (status === 401 || status === 403) return "backend_refused";
  if (status === 404) return "model_unknown";
  if (status === 429) return "queue_full";
  if (/context (length|size|window)|exceed_context|too long|maximum context/i.test(why)) {
    return "prompt_too_long";
  }
  if (status >= 500) return "backend_unreachable";
  // What was asked is at fault, such as tools without a template for them: whoever asked should hear of it.
  return status === 400 || status === 422 ? "invalid_request" : "backend_refused";
}
