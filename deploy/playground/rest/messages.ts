/** Routes of messages. */
import { type APIMessage, PermissionFlagsBits as Bits } from "discord-api-types/v10";
import type { Hono } from "hono";
import { withholdContent } from "../gateway/content-intent.ts";
import { DiscordError } from "../world/discord-error.ts";
import { parseMessage } from "../world/message-input.ts";
import { applyEdit, postMessage } from "../world/posting.ts";
import { presentMessage } from "../world/present.ts";
import type { MessageRecord } from "../world/records.ts";
import { BOT_ID } from "../world/seed.ts";
import { readBody } from "./body.ts";
import { readId, readLimit } from "./query.ts";
import { noContent, type RestServices } from "./services.ts";

/** Adds the routes. */
export function addMessageRoutes(api: Hono, services: RestServices): void {
  const { world } = services;
  const present = (message: MessageRecord) => presentToBot(services, message);
  api.get("/channels/:channel/messages", (context) => {
    const channel = world.channel(context.req.param("channel"));
    world.require(BOT_ID, channel, 0n);
    if ((world.permissions(BOT_ID, channel) & Bits.ReadMessageHistory) === 0n)
      return Response.json([]);
    const list = listMessages(services, channel.id, {
      before: readId("before", context.req.query("before")),
      after: readId("after", context.req.query("after")),
      around: readId("around", context.req.query("around")),
      limit: readLimit(context.req.query("limit"), 50),
    });
    return Response.json(list.map(present));
  });
  api.post("/channels/:channel/messages", async (context) => {
    const channelId = context.req.param("channel");
    world.requireWriting(BOT_ID, world.channel(channelId));
    const { json, uploads } = await readBody(context);
    const input = parseMessage(json);
    const repeated =
      input.enforce_nonce === true ? findNonce(services, channelId, input.nonce) : undefined;
    return Response.json(
      present(repeated ?? postMessage(world, { channelId, authorId: BOT_ID }, input, uploads)),
    );
  });
  api.get("/channels/:channel/messages/:message", (context) => {
    const channel = world.channel(context.req.param("channel"));
    world.require(BOT_ID, channel, Bits.ReadMessageHistory);
    return Response.json(present(world.message(channel.id, context.req.param("message"), BOT_ID)));
  });
  api.patch("/channels/:channel/messages/:message", async (context) => {
    const message = world.message(
      context.req.param("channel"),
      context.req.param("message"),
      BOT_ID,
    );
    const { json, uploads } = await readBody(context);
    if (message.authorId !== BOT_ID) throw new DiscordError("notYourMessage");
    const edited = applyEdit(world, message, parseMessage(json), uploads);
    return Response.json(present(world.changeMessage(edited, true)));
  });
  api.delete("/channels/:channel/messages/:message", (context) => {
    const { channel, message } = context.req.param();
    world.deleteMessage(world.message(channel, message, BOT_ID), BOT_ID);
    return noContent();
  });
}

function presentToBot(services: RestServices, message: MessageRecord): APIMessage {
  const { world, gateway, baseUrl } = services;
  const intents = gateway.sessions.reduce((all, session) => all | session.intents, 0);
  return withholdContent(presentMessage(world, message, BOT_ID, baseUrl()), {
    botId: BOT_ID,
    intents,
    isDirect: world.channel(message.channelId).guildId === null,
  });
}

/** Newest first, whatever was asked for, as Discord lists them. */
function listMessages(
  { world }: RestServices,
  channelId: string,
  range: {
    before: string | undefined;
    after: string | undefined;
    around: string | undefined;
    limit: number;
  },
): MessageRecord[] {
  const { before, after, around, limit } = range;
  const list = (part: { before?: string; after?: string; limit: number }) =>
    world.store.messages(channelId, BOT_ID, part);
  if (around !== undefined) {
    const half = Math.max(1, Math.floor(limit / 2));
    const newer = list({ after: String(BigInt(around) - 1n), limit: half + 1 }).reverse();
    return [...newer, ...list({ before: around, limit: half })].slice(0, limit);
  }
  if (after !== undefined) return list({ after, limit }).reverse();
  return list({ ...(before === undefined ? {} : { before }), limit });
}

/** With `enforce_nonce`, a nonce sent again within the last messages gives the first one's message. */
function findNonce(
  { world }: RestServices,
  channelId: string,
  nonce: string | number | null | undefined,
): MessageRecord | undefined {
  if (nonce === undefined || nonce === null) return undefined;
  const recent = world.store.messages(channelId, BOT_ID, { limit: 50 });
  return recent.find((message) => message.authorId === BOT_ID && message.nonce === nonce);
}
