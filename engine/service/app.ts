/**
 * The engine's HTTP interface: routes, who may ask, and one shape for everything that goes wrong.
 * It holds no state of its own and opens no port.
 */
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { describeAbilities } from "./abilities.ts";
import { ADAPTER_ROUTES, addAdapterRoutes } from "./adapters/adapter-routes.ts";
import { IMAGE_BODY_BYTES, type ImageUrls } from "./chat/chat-images.ts";
import { parseChatRequest } from "./chat/chat-request.ts";
import { type AnswerHead, toErrorEvent, toEvents, toJson } from "./chat/chat-wire.ts";
import { admitCompletion, type CompletionServices } from "./chat/completion.ts";
import { countTokens } from "./chat/token-counts.ts";
import { embedTexts, parseEmbeddingsRequest } from "./embeddings.ts";
import { toByteStream } from "./event-stream.ts";
import { HttpProblem, problemBody, toProblem } from "./http-problem.ts";
import { moderate, parseModerationRequest } from "./moderations.ts";

/** What the routes need besides the completion's own services. */
export type AppServices = CompletionServices & {
  /** One of them is asked for as a bearer token on everything but /health; none: no key is needed. */
  readonly apiKeys: readonly string[];
  /** Whether only this machine can connect; then only its own names are accepted as Host. */
  readonly isLoopback: boolean;
  /** How pictures may come, where the model takes them. */
  readonly imageUrls: ImageUrls;
  /** True once the engine is shutting down. */
  readonly isDraining: () => boolean;
  /** Aborts when the time for running requests is over. */
  readonly stopped: AbortSignal;
};

/** A conversation of 32k tokens is about 128 KiB; more than this is no chat. */
const BODY_LIMIT_BYTES = 1 << 20;
const RETRY_WHEN_STOPPING_S = "5";
/** What a caller may name a request; anything else is replaced. */
const REQUEST_ID = /^[\w.-]{1,64}$/;

type Env = { Variables: { requestId: string } };

/** Builds the routes. */
export function createApp(services: AppServices): Hono<Env> {
  const app = new Hono<Env>();
  const createdS = Math.floor(services.clock.nowMs() / 1000);
  app.use(identify, refuseForeignPages(services.isLoopback), authorise(services.apiKeys));
  app.use("/v1/*", refuseWhenStopping(services), limitBody(services));
  app.post("/v1/chat/completions", (c) => answerChat(services, c));
  app.post("/v1/moderations", async (c) => {
    const { seesImages } = services.moderation;
    const request = parseModerationRequest(await readJson(c), seesImages);
    const signal = AbortSignal.any([c.req.raw.signal, services.stopped]);
    const requestId = c.get("requestId");
    const { moderation, checks } = services;
    return c.json(await moderate(moderation, request, { requestId, signal, checks }));
  });
  app.post("/v1/embeddings", async (c) => {
    const request = parseEmbeddingsRequest(await readJson(c));
    const signal = AbortSignal.any([c.req.raw.signal, services.stopped]);
    return c.json(await embedTexts(services.backend, request, signal));
  });
  app.post("/v1/tokenize", async (c) => c.json(countTokens(services.backend, await readJson(c))));
  app.get("/v1/models", (c) => c.json({ object: "list", data: models(services, createdS) }));
  app.get("/v1/models/:model", (c) => c.json(findModel(services, createdS, c.req.param("model"))));
  addAdapterRoutes(app, services.adapters);
  app.get("/v1/queue", (c) => c.json(queueState(services)));
  app.get("/v1/queue/:id", (c) => c.json(findInQueue(services, c.req.param("id"))));
  app.get("/metrics", async (c) => {
    c.header("content-type", services.metrics.contentType);
    return c.body(await services.metrics.text());
  });
  app.get("/health", (c) => c.json(health(services), services.isDraining() ? 503 : 200));
  refuseOtherMethods(app);
  app.notFound((c) => {
    throw new HttpProblem(
      `There is no ${c.req.path} here. Try POST /v1/chat/completions, /v1/embeddings or /v1/moderations, GET /v1/models, /v1/adapters, /metrics or /health.`,
      { status: 404, code: "not_found" },
    );
  });
  app.onError((error, c) => answerProblem(services, c, error));
  return app;
}

async function answerChat(services: AppServices, c: Context<Env>): Promise<Response> {
  const requestId = c.get("requestId");
  const parameters = parseChatRequest(await readJson(c), services.imageUrls);
  const leave = new AbortController();
  const signal = AbortSignal.any([c.req.raw.signal, leave.signal, services.stopped]);
  const completion = await admitCompletion(services, parameters, requestId, signal);
  const head: AnswerHead = {
    id: `chatcmpl-${requestId}`,
    createdS: Math.floor(services.clock.nowMs() / 1000),
    model: parameters.model || services.backend.info.id,
    fingerprint: `fp_${services.backend.info.sha256.slice(0, 12)}`,
  };
  c.header("x-zephyr-adapter", completion.adapter ?? "base");
  if (!parameters.stream) return c.json(await toJson(head, completion));
  c.header("content-type", "text/event-stream; charset=utf-8");
  c.header("cache-control", "no-cache");
  // Proxies that buffer would turn a stream into one late piece.
  c.header("x-accel-buffering", "no");
  const events = toEvents(head, completion, { includeUsage: parameters.includeUsage });
  return c.body(
    toByteStream(events, {
      onError: (error) => {
        if (leave.signal.aborted) return undefined;
        return toErrorEvent(report(services, c, error));
      },
      onLeave: async () => {
        leave.abort();
        await completion.events.return(undefined);
      },
    }),
  );
}

async function readJson(c: Context<Env>): Promise<unknown> {
  const text = await c.req.text();
  try {
    const body: unknown = JSON.parse(text);
    return body;
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "it cannot be read";
    throw new HttpProblem(`The body is not JSON: ${reason}.`, {
      status: 400,
      code: "invalid_json",
      cause: error,
    });
  }
}

function models(services: AppServices, createdS: number): { id: string }[] {
  const { info } = services.backend;
  return services.adapters.modelNames().map((id) => ({
    id,
    object: "model",
    created: createdS,
    owned_by: "zephyr-community",
    context_tokens: info.contextTokens,
    ...describeAbilities(info),
  }));
}

function findModel(services: AppServices, createdS: number, name: string): object {
  const model = models(services, createdS).find(({ id }) => id === name);
  if (model !== undefined) return model;
  const served = services.adapters.modelNames().join(", ");
  throw new HttpProblem(
    `No model is named ${JSON.stringify(name.slice(0, 80))}. Served are: ${served}.`,
    { status: 404, code: "model_not_found", param: "model" },
  );
}

function queueState({ queue }: AppServices): object {
  return { object: "queue", ...queue.counts, wait_ms: queue.waitMs };
}

/** By the id that the caller gave or was given in `x-request-id`. */
function findInQueue({ queue, checks }: AppServices, id: string): object {
  if (checks.find(id) !== undefined) return { id, state: "checking" };
  const place = queue.find(id);
  if (place === "running") return { id, state: "running" };
  if (place !== undefined) {
    return { id, state: "waiting", position: place.position, wait_ms: place.waitMs };
  }
  throw new HttpProblem(
    `No request ${JSON.stringify(id.slice(0, 80))} waits or runs. Give the x-request-id that it was sent with or answered with.`,
    { status: 404, code: "request_not_found" },
  );
}

function health(services: AppServices): object {
  const { info } = services.backend;
  const { problem } = services.backend;
  const problems = [...services.adapters.problems, ...(problem === undefined ? [] : [problem])];
  const state = problems.length > 0 ? "degraded" : "ok";
  return {
    status: services.isDraining() ? "draining" : state,
    problems,
    model: {
      id: info.id,
      sha256: info.sha256,
      parameters: info.parameters,
      context_tokens: info.contextTokens,
      streams: info.streams,
      device: info.device,
      memory: info.memory ?? null,
      ...describeAbilities(info),
    },
    adapter: services.adapters.active,
    canary: services.adapters.canary,
    checks: services.moderation.layers,
    policy: services.moderation.version,
    queue: services.queue.counts,
    backend: services.backend.stats(),
  };
}

const identify: MiddlewareHandler<Env> = async (c, next) => {
  const given = c.req.header("x-request-id") ?? "";
  const requestId = REQUEST_ID.test(given) ? given : randomUUID();
  c.set("requestId", requestId);
  c.header("x-request-id", requestId);
  await next();
};

/**
 * Pages of other sites must not use a person's browser to reach an engine on their machine: neither by
 * a cross-site request (Origin) nor by a name that resolves to loopback (Host).
 */
function refuseForeignPages(isLoopback: boolean): MiddlewareHandler<Env> {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    const origin = c.req.header("origin");
    const isForeignOrigin = origin !== undefined && hostOf(origin) !== host;
    if (
      isForeignOrigin ||
      (isLoopback && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(host))
    ) {
      throw new HttpProblem(
        "Web pages of other sites may not use this engine. Call it from a program, or by http://127.0.0.1.",
        { status: 403, code: "foreign_origin" },
      );
    }
    await next();
  };
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function authorise(apiKeys: readonly string[]): MiddlewareHandler<Env> {
  const accepted = apiKeys.map(digest);
  return async (c, next) => {
    if (accepted.length === 0 || c.req.path === "/health") return next();
    const given = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const hash = digest(given ?? "");
    // Every key is compared, so that the time taken tells nothing of which one is close.
    const matches = accepted.filter((key) => timingSafeEqual(hash, key));
    if (given !== undefined && matches.length > 0) return next();
    const what = given === undefined ? "No key came" : "The key that came is wrong";
    throw new HttpProblem(
      `${what}. Send "Authorization: Bearer <key>" with the key of ENGINE_API_KEY, or one of ENGINE_CLIENT_KEYS.`,
      { status: 401, code: "invalid_api_key", headers: { "www-authenticate": "Bearer" } },
    );
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function refuseWhenStopping(services: AppServices): MiddlewareHandler<Env> {
  return async (_c, next) => {
    if (!services.isDraining()) return next();
    throw stopping();
  };
}

/** Pictures take more, where there is a model that looks at them. */
function limitBody({ backend, moderation }: AppServices): MiddlewareHandler {
  const limit = (maxSize: number) => bodyLimit({ maxSize, onError: () => refuseLarge(maxSize) });
  const [plain, withImages] = [limit(BODY_LIMIT_BYTES), limit(IMAGE_BODY_BYTES)];
  return (c, next) => {
    const takesImages =
      (c.req.path === "/v1/chat/completions" && backend.info.images.can) ||
      (c.req.path === "/v1/moderations" && moderation.seesImages);
    return takesImages ? withImages(c, next) : plain(c, next);
  };
}

function refuseLarge(maxSize: number): never {
  throw new HttpProblem(
    `The body is larger than ${maxSize >> 20} MiB. Send fewer or shorter messages.`,
    { status: 413, code: "body_too_large", headers: { connection: "close" } },
  );
}

function refuseOtherMethods(app: Hono<Env>): void {
  const allowed = new Map([
    ["/v1/chat/completions", "POST"],
    ["/v1/moderations", "POST"],
    ["/v1/embeddings", "POST"],
    ["/v1/tokenize", "POST"],
    ["/v1/models", "GET"],
    ["/v1/models/:model", "GET"],
    ...ADAPTER_ROUTES,
    ["/v1/queue", "GET"],
    ["/v1/queue/:id", "GET"],
    ["/metrics", "GET"],
    ["/health", "GET"],
  ]);
  for (const [path, method] of allowed) {
    app.all(path, (c) => {
      throw new HttpProblem(`${c.req.path} takes ${method}, not ${c.req.method}.`, {
        status: 405,
        code: "method_not_allowed",
        headers: { allow: method },
      });
    });
  }
}

function answerProblem(services: AppServices, c: Context<Env>, error: unknown): Response {
  const problem = report(services, c, error);
  for (const [name, value] of Object.entries(problem.headers)) c.header(name, value);
  return c.json(problemBody(problem), problem.status);
}

/** Logs why a request was not served, without its text, and gives what to tell the caller. */
function report(services: AppServices, c: Context<Env>, error: unknown): HttpProblem {
  const requestId = c.get("requestId");
  const problem = toProblem(explainStop(services, error), requestId);
  services.metrics.recordRefusal(problem.status, problem.code);
  const facts = { requestId, method: c.req.method, path: c.req.path };
  if (c.req.raw.signal.aborted) services.log.info({ event: "caller_left", ...facts });
  else if (problem.status === 500) {
    services.log.error({ event: "request_failed", ...facts, err: error });
  } else {
    services.log.info({
      event: "request_refused",
      ...facts,
      status: problem.status,
      code: problem.code,
    });
  }
  return problem;
}

/** What an abort by the engine's own end looks like to whoever waits. */
function explainStop(services: AppServices, error: unknown): unknown {
  return services.stopped.aborted && error === services.stopped.reason ? stopping() : error;
}

function stopping(): HttpProblem {
  return new HttpProblem("The engine is shutting down. Try again in a moment.", {
    status: 503,
    code: "engine_stopping",
    headers: { "retry-after": RETRY_WHEN_STOPPING_S },
  });
}
