/** The REST API as one Hono app: authorization, rate limits, routes, errors in Discord's shape. */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { explainDatabaseError } from "#engine/base/database.ts";
import type { Logger } from "#engine/base/log.ts";
import { DiscordError } from "../world/discord-error.ts";
import { BODY_LIMIT_BYTES } from "./body.ts";
import { addChannelRoutes } from "./channels.ts";
import { addCommandRoutes } from "./commands.ts";
import { addGuildRoutes } from "./guilds.ts";
import { addInteractionRoutes } from "./interactions.ts";
import { addMessageRoutes } from "./messages.ts";
import { addReactionRoutes } from "./reactions.ts";
import { recordRequests } from "./record.ts";
import type { RestServices } from "./services.ts";
import { addThreadRoutes } from "./threads.ts";

/** Routes whose address holds a token, or that need none. */
const OPEN_ROUTES = /^\/(interactions|webhooks\/\d+\/|gateway$)/;

/** Builds the API; it is mounted under /api, with and without a version. */
export function createRestApi(services: RestServices): Hono {
  const api = new Hono();
  api.use(
    bodyLimit({
      maxSize: BODY_LIMIT_BYTES,
      onError: () => errorResponse(new DiscordError("tooLarge")),
    }),
  );
  if (services.recordTo !== undefined) api.use(recordRequests(services.recordTo));
  api.use(services.faults.middleware);
  api.use(async (context, next) => {
    const path = pathBelowVersion(context);
    if (!OPEN_ROUTES.test(path) && !isAuthorized(context, services.botToken))
      throw new DiscordError("unauthorized");
    const verdict = services.limits.take(context.req.method, path);
    if (!verdict.passes) {
      const message = "You are being rate limited.";
      const body = { message, retry_after: verdict.retryAfterSeconds, global: verdict.isGlobal };
      return Response.json(body, { status: 429, headers: verdict.headers });
    }
    await next();
    for (const [name, value] of Object.entries(verdict.headers))
      context.res.headers.set(name, value);
    return undefined;
  });
  addGuildRoutes(api, services);
  addChannelRoutes(api, services);
  addThreadRoutes(api, services);
  addReactionRoutes(api, services);
  addMessageRoutes(api, services);
  addCommandRoutes(api, services);
  addInteractionRoutes(api, services);
  api.all("*", () => errorResponse(new DiscordError("notFound")));
  api.onError((error) => answerError(error, services.log));
  return api;
}

function errorResponse(error: DiscordError): Response {
  return Response.json(error.toJson(), { status: error.status });
}

/** Any error as Discord words it; unexpected ones are logged and told without their details. */
export function answerError(error: unknown, log: Logger): Response {
  if (error instanceof DiscordError) return errorResponse(error);
  if (error instanceof HTTPException) return error.getResponse();
  if (error instanceof Error && "errcode" in error) return answerDatabaseError(error, log);
  log.error({ err: error }, "a request failed");
  return Response.json({ message: "500: Internal Server Error", code: 0 }, { status: 500 });
}

/** SQLite's complaints, a full disk above all, are told in words that help. */
function answerDatabaseError(error: Error, log: Logger): Response {
  const explained = explainDatabaseError(error, "the playground's chat");
  const message = explained instanceof Error ? explained.message : error.message;
  log.error({ err: error }, message);
  return Response.json({ message, code: 0 }, { status: 507 });
}

function pathBelowVersion(context: Context): string {
  return context.req.path.replace(/^\/api(\/v\d+)?/, "");
}

function isAuthorized(context: Context, botToken: string): boolean {
  return context.req.header("authorization") === `Bot ${botToken}`;
}
