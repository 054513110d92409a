/** Routes of a channel itself, and of its typing indicator. */
import type { Hono } from "hono";
import { z } from "zod";
import { parseBody } from "../world/message-input.ts";
import { presentChannel, presentThread } from "../world/present.ts";
import { BOT_ID } from "../world/seed.ts";
import { changeThread, deleteThread } from "../world/threads.ts";
import { readBody } from "./body.ts";
import { noContent, type RestServices } from "./services.ts";

const change = z.object({
  name: z.string().min(1).max(100).optional(),
  archived: z.boolean().optional(),
  locked: z.boolean().optional(),
});

/** Adds the routes. */
export function addChannelRoutes(api: Hono, { world }: RestServices): void {
  api.get("/channels/:channel", (context) => {
    const channel = world.channel(context.req.param("channel"));
    world.require(BOT_ID, channel, 0n);
    return Response.json(presentChannel(world, channel));
  });
  api.patch("/channels/:channel", async (context) => {
    const channel = world.channel(context.req.param("channel"));
    const { json } = await readBody(context);
    return Response.json(
      presentThread(changeThread(world, channel, parseBody(change, json), BOT_ID)),
    );
  });
  api.delete("/channels/:channel", (context) => {
    const channel = world.channel(context.req.param("channel"));
    const presented = presentChannel(world, channel);
    deleteThread(world, channel, BOT_ID);
    return Response.json(presented);
  });
  api.post("/channels/:channel/typing", (context) => {
    world.type(context.req.param("channel"), BOT_ID);
    return noContent();
  });
}
