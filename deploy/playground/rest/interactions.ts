/** Routes of interaction responses and of the webhook that an interaction's token opens. */
import { MessageFlags } from "discord-api-types/v10";
import type { Hono } from "hono";
import { DiscordError } from "../world/discord-error.ts";
import { presentMessage } from "../world/present.ts";
import type { MessageRecord } from "../world/records.ts";
import { BOT_ID } from "../world/seed.ts";
import { readBody } from "./body.ts";
import { noContent, type RestServices } from "./services.ts";

/** Adds the routes. */
export function addInteractionRoutes(api: Hono, services: RestServices): void {
  const { desk, world, baseUrl } = services;
  const present = (message: MessageRecord) => presentMessage(world, message, BOT_ID, baseUrl());
  api.post("/interactions/:id/:token/callback", async (context) => {
    const { id, token } = context.req.param();
    const { json, uploads } = await readBody(context);
    const { type, message } = desk.respond(id, token, json, uploads);
    if (context.req.query("with_response") !== "true") return noContent();
    return Response.json(
      presentCallback(id, type, message, message === null ? null : present(message)),
    );
  });
  addWebhookRoutes(api, services, present);
}

function addWebhookRoutes(
  api: Hono,
  { desk }: RestServices,
  present: (message: MessageRecord) => object,
): void {
  const base = "/webhooks/:application/:token";
  const token = (params: { application: string; token: string }) => {
    if (params.application !== BOT_ID) throw new DiscordError("unknownWebhook");
    return params.token;
  };
  api.post(base, async (context) => {
    const { json, uploads } = await readBody(context);
    // An interaction's webhook always gives the message back, as if ?wait=true were set.
    return Response.json(present(desk.followUp(token(context.req.param()), json, uploads)));
  });
  api.get(`${base}/messages/:message`, (context) => {
    const params = context.req.param();
    return Response.json(present(desk.get(token(params), params.message)));
  });
  api.patch(`${base}/messages/:message`, async (context) => {
    const params = context.req.param();
    const { json, uploads } = await readBody(context);
    return Response.json(present(desk.edit(token(params), params.message, json, uploads)));
  });
  api.delete(`${base}/messages/:message`, (context) => {
    const params = context.req.param();
    desk.delete(token(params), params.message);
    return noContent();
  });
}

/** https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-callback */
function presentCallback(
  id: string,
  type: number,
  record: MessageRecord | null,
  message: object | null,
): object {
  const interaction = {
    id,
    type: record?.interaction?.type ?? 2,
    ...(record === null
      ? {}
      : {
          response_message_id: record.id,
          response_message_loading: (record.flags & MessageFlags.Loading) !== 0,
          response_message_ephemeral: (record.flags & MessageFlags.Ephemeral) !== 0,
          channel_id: record.channelId,
        }),
  };
  return { interaction, resource: message === null ? { type } : { type, message } };
}
