/** The page's own HTTP API: what people do, as JSON, and a stream of what happens. */
import { Locale } from "discord-api-types/v10";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { presentCommand } from "../interactions/commands.ts";
import { localisedFor } from "../interactions/localizations.ts";
import { readBody } from "../rest/body.ts";
import { readId, readLimit } from "../rest/query.ts";
import { noContent } from "../rest/services.ts";
import { DiscordError } from "../world/discord-error.ts";
import { parseBody } from "../world/message-input.ts";
import { presentGuild } from "../world/present.ts";
import { BOT_ID, GUILD_NAME } from "../world/seed.ts";
import type { World } from "../world/world.ts";
import type { PersonActions } from "./actions.ts";
import { PersonFeed, presentPageChannel } from "./feed.ts";
import type { StatusBoard } from "./status.ts";

/** Events kept for a page that does not read; past it the page has to connect and load anew. */
const FEED_LIMIT = 1_000;
/** A comment that keeps the stream open, and tells of a page that is gone. */
const KEEP_ALIVE_MS = 20_000;

const file = z.object({ name: z.string(), contentType: z.string(), base64: z.string() });
const options = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean(), file]))
  .default({});
const BODIES = {
  say: z.object({
    content: z.string().default(""),
    replyTo: z.string().optional(),
    ping: z.boolean().optional(),
  }),
  locale: z.object({ locale: z.string() }),
  edit: z.object({ content: z.string() }),
  thread: z.object({ name: z.string().min(1).max(100), messageId: z.string().optional() }),
  slash: z.object({ name: z.string(), options }),
  autocomplete: z.object({ name: z.string(), options, focused: z.string() }),
  menu: z.object({ name: z.string() }),
  component: z.object({ customId: z.string(), values: z.array(z.string()).optional() }),
  join: z.object({ name: z.string().trim().min(1).max(32) }),
  modal: z.object({ values: z.record(z.string(), z.union([z.string(), z.array(z.string())])) }),
};

/** What the routes work on. */
export type PageServices = {
  readonly world: World;
  readonly actions: PersonActions;
  readonly status: StatusBoard;
};

/** Builds the API, to be mounted under /local. */
export function createPageApi(services: PageServices): Hono {
  const api = new Hono();
  api.use(requireJson);
  api.get("/status", async () => Response.json(await services.status.read()));
  api.get("/people", () => Response.json(presentPeople(services.world)));
  api.post("/people", async (context) => {
    const { name } = parseBody(BODIES.join, (await readBody(context)).json);
    const { id, displayName } = services.world.join(name.toLowerCase(), name);
    return Response.json({ id, name: displayName });
  });
  api.use("/:person/*", async (context, next) => {
    // The bot acts through its own API only. (The two routes above must stay above.)
    if (services.world.user(context.req.param("person")).bot) throw new DiscordError("unknownUser");
    await next();
  });
  addPlaceRoutes(api, services);
  addWritingRoutes(api, services);
  addMessageRoutes(api, services);
  addInteractionRoutes(api, services);
  return api;
}

/**
 * A form of another site can post without asking first, but not with this content type: a second
 * lock beside the check of Origin.
 */
async function requireJson(
  context: Context,
  next: () => Promise<void>,
): Promise<Response | undefined> {
  const type = context.req.header("content-type") ?? "";
  const isWrite = context.req.method !== "GET";
  const isAccepted = type.startsWith("application/json") || type.startsWith("multipart/form-data");
  if (isWrite && !isAccepted)
    return context.json({ message: "Expected content-type application/json.", code: 0 }, 415);
  await next();
  return undefined;
}

function addPlaceRoutes(api: Hono, { world, actions }: PageServices): void {
  api.get("/:person/channels", (context) => {
    const feed = feedOf(world, actions, context);
    return Response.json(
      world.store
        .channels()
        .filter((each) => feed.sees(each))
        .map(presentPageChannel),
    );
  });
  api.get("/:person/channels/:channel/messages", (context) => {
    const { person, channel } = context.req.param();
    const range = {
      before: readId("before", context.req.query("before")),
      limit: readLimit(context.req.query("limit"), 50),
    };
    const feed = feedOf(world, actions, context);
    return Response.json(
      actions.messages(person, channel, range).map((each) => feed.withReactors(each)),
    );
  });
  api.get("/:person/channels/:channel/commands", (context) => {
    const { person, channel } = context.req.param();
    const { locale } = world.user(person);
    const commands = actions.commands(person, channel).map(presentCommand);
    return Response.json(commands.map((each) => localisedFor(each, locale)));
  });
  api.put("/:person/locale", async (context) => {
    const { locale } = parseBody(BODIES.locale, (await readBody(context)).json);
    actions.setLocale(context.req.param("person"), locale);
    return noContent();
  });
  api.post("/:person/direct", (context) =>
    Response.json(presentPageChannel(actions.directChannel(context.req.param("person")))),
  );
  api.get("/:person/events", (context) => {
    const feed = feedOf(world, actions, context);
    return streamEvents(context, world, feed);
  });
}

function addWritingRoutes(api: Hono, { actions }: PageServices): void {
  api.post("/:person/channels/:channel/messages", async (context) => {
    const { person, channel } = context.req.param();
    const { json, uploads } = await readBody(context);
    return Response.json(actions.say(person, channel, { ...parseBody(BODIES.say, json), uploads }));
  });
  api.post("/:person/channels/:channel/typing", (context) => {
    const { person, channel } = context.req.param();
    actions.type(person, channel);
    return noContent();
  });
  api.post("/:person/channels/:channel/threads", async (context) => {
    const { person, channel } = context.req.param();
    const { name, messageId } = parseBody(BODIES.thread, (await readBody(context)).json);
    return Response.json(presentPageChannel(actions.startThread(person, channel, name, messageId)));
  });
}

function addMessageRoutes(api: Hono, { actions }: PageServices): void {
  api.patch("/:person/messages/:message", async (context) => {
    const { person, message } = context.req.param();
    const { content } = parseBody(BODIES.edit, (await readBody(context)).json);
    return Response.json(actions.edit(person, message, content));
  });
  api.delete("/:person/messages/:message", (context) => {
    const { person, message } = context.req.param();
    actions.delete(person, message);
    return noContent();
  });
  api.put("/:person/messages/:message/reactions/:emoji", (context) => {
    const { person, message, emoji } = context.req.param();
    actions.react(person, message, emoji);
    return noContent();
  });
  api.delete("/:person/messages/:message/reactions/:emoji", (context) => {
    const { person, message, emoji } = context.req.param();
    actions.unreact(person, message, emoji);
    return noContent();
  });
}

/** Each answers at the application's first response, or after three seconds without one. */
function addInteractionRoutes(api: Hono, { actions }: PageServices): void {
  api.post("/:person/channels/:channel/slash", async (context) => {
    const { person, channel } = context.req.param();
    const body = parseBody(BODIES.slash, (await readBody(context)).json);
    return Response.json(await actions.slash(person, channel, body.name, body.options));
  });
  api.post("/:person/channels/:channel/autocomplete", async (context) => {
    const { person, channel } = context.req.param();
    const body = parseBody(BODIES.autocomplete, (await readBody(context)).json);
    return Response.json(
      await actions.autocomplete(person, channel, body.name, body.options, body.focused),
    );
  });
  api.post("/:person/messages/:message/menu", async (context) => {
    const { person, message } = context.req.param();
    const { name } = parseBody(BODIES.menu, (await readBody(context)).json);
    return Response.json(await actions.messageCommand(person, message, name));
  });
  api.post("/:person/messages/:message/component", async (context) => {
    const { person, message } = context.req.param();
    const { customId, values } = parseBody(BODIES.component, (await readBody(context)).json);
    return Response.json(await actions.component(person, message, customId, values));
  });
  api.post("/:person/modal", async (context) => {
    const { values } = parseBody(BODIES.modal, (await readBody(context)).json);
    return Response.json(await actions.submitModal(context.req.param("person"), values));
  });
  api.delete("/:person/modal", (context) => {
    actions.dismissModal(context.req.param("person"));
    return noContent();
  });
}

function streamEvents(context: Context, world: World, feed: PersonFeed): Response {
  return streamSSE(context, async (stream) => {
    const waiting: string[] = [];
    let wake = () => {};
    const unsubscribe = world.bus.subscribe((event) => {
      const presented = feed.present(event);
      if (presented === undefined) return;
      waiting.push(JSON.stringify(presented));
      if (waiting.length > FEED_LIMIT) stream.abort();
      wake();
    });
    stream.onAbort(() => {
      unsubscribe();
      wake();
    });
    await stream.writeSSE({ event: "open", data: "{}" });
    while (!stream.aborted) {
      const next = waiting.shift();
      if (next !== undefined) {
        await stream.writeSSE({ data: next });
        continue;
      }
      const isSilent = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(true), KEEP_ALIVE_MS).unref();
        wake = () => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (isSilent) await stream.write(": still here\n\n");
    }
  });
}

function feedOf(world: World, actions: PersonActions, context: Context): PersonFeed {
  return new PersonFeed(world, actions, context.req.param("person") ?? "");
}

function presentPeople(world: World): object {
  const people = world.store.users().map(({ id, displayName, bot, listed, roleIds, locale }) => ({
    ...{ id, name: displayName, bot, listed, roleIds, locale },
  }));
  const roles = presentGuild(world).roles.map(({ id, name }) => ({ id, name }));
  return { guild: GUILD_NAME, botId: BOT_ID, people, roles, locales: Object.values(Locale) };
}
