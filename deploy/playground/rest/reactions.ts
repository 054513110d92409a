/** Routes of reactions. */
import type { Hono } from "hono";
import { readEmoji } from "../world/emoji.ts";
import { presentUser } from "../world/present.ts";
import type { MessageRecord } from "../world/records.ts";
import { BOT_ID } from "../world/seed.ts";
import { readId, readLimit } from "./query.ts";
import { noContent, type RestServices } from "./services.ts";

const BASE = "/channels/:channel/messages/:message/reactions";

/** Adds the routes. */
export function addReactionRoutes(api: Hono, { world }: RestServices): void {
  const find = (params: { channel: string; message: string }): MessageRecord =>
    world.message(params.channel, params.message, BOT_ID);
  api.put(`${BASE}/:emoji/@me`, (context) => {
    const params = context.req.param();
    world.react(find(params), readEmoji(params.emoji), BOT_ID);
    return noContent();
  });
  api.delete(`${BASE}/:emoji/:user`, (context) => {
    const { user, ...params } = context.req.param();
    world.unreact(find(params), readEmoji(params.emoji), user === "@me" ? BOT_ID : user, BOT_ID);
    return noContent();
  });
  api.get(`${BASE}/:emoji`, (context) => {
    const params = context.req.param();
    const emoji = readEmoji(params.emoji);
    const limit = readLimit(context.req.query("limit"), 25);
    const after = BigInt(readId("after", context.req.query("after")) ?? 0);
    const tally = world.store.reactions(find(params).id).find((each) => each.emoji === emoji);
    const later = (tally?.userIds ?? []).map(BigInt).filter((id) => id > after);
    const ids = later.sort((a, b) => (a < b ? -1 : 1)).slice(0, limit);
    return Response.json(ids.map((id) => presentUser(world.user(String(id)))));
  });
  api.delete(`${BASE}/:emoji`, (context) => {
    const params = context.req.param();
    world.clearReactions(find(params), readEmoji(params.emoji), BOT_ID);
    return noContent();
  });
  api.delete(BASE, (context) => {
    world.clearReactions(find(context.req.param()), null, BOT_ID);
    return noContent();
  });
}
