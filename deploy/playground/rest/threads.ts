/** Routes of threads. */
import { ChannelType } from "discord-api-types/v10";
import type { Hono } from "hono";
import { z } from "zod";
import { DiscordError } from "../world/discord-error.ts";
import { parseBody } from "../world/message-input.ts";
import { presentThread } from "../world/present.ts";
import { BOT_ID } from "../world/seed.ts";
import { setThreadMember, startThread, startThreadOnMessage } from "../world/threads.ts";
import { readBody } from "./body.ts";
import { noContent, type RestServices } from "./services.ts";

const draft = z.object({
  name: z.string().min(1).max(100),
  auto_archive_duration: z
    .union([z.literal(60), z.literal(1440), z.literal(4320), z.literal(10080)])
    .nullish(),
  type: z.int().optional(),
});

/** Minutes without a message after which a thread leaves the list, when nothing else is asked for. */
const DEFAULT_ARCHIVE_MINUTES = 1_440;

/** Adds the routes. */
export function addThreadRoutes(api: Hono, { world }: RestServices): void {
  api.post("/channels/:channel/messages/:message/threads", async (context) => {
    const { channel, message } = context.req.param();
    const input = parseBody(draft, (await readBody(context)).json);
    const options = {
      name: input.name,
      autoArchiveMinutes: input.auto_archive_duration ?? DEFAULT_ARCHIVE_MINUTES,
    };
    const thread = startThreadOnMessage(
      world,
      world.message(channel, message, BOT_ID),
      options,
      BOT_ID,
    );
    return Response.json(presentThread(thread), { status: 201 });
  });
  api.post("/channels/:channel/threads", async (context) => {
    const input = parseBody(draft, (await readBody(context)).json);
    const options = {
      name: input.name,
      autoArchiveMinutes: input.auto_archive_duration ?? DEFAULT_ARCHIVE_MINUTES,
      isPrivate: (input.type ?? ChannelType.PrivateThread) === ChannelType.PrivateThread,
    };
    return Response.json(
      presentThread(startThread(world, context.req.param("channel"), options, BOT_ID)),
      { status: 201 },
    );
  });
  api.get("/channels/:channel/threads/archived/:visibility", (context) => {
    const { channel, visibility } = context.req.param();
    const type = visibility === "private" ? ChannelType.PrivateThread : ChannelType.PublicThread;
    const threads = world.store
      .channels()
      .filter(
        (each) => each.parentId === channel && each.type === type && each.thread?.archived === true,
      )
      .map(presentThread);
    return Response.json({
      threads,
      members: threads.flatMap((each) => each.member ?? []),
      has_more: false,
    });
  });
  addThreadMemberRoutes(api, world);
}

function addThreadMemberRoutes(api: Hono, world: RestServices["world"]): void {
  const userOf = (id: string) => (id === "@me" ? BOT_ID : id);
  api.get("/channels/:channel/thread-members", (context) => {
    const channel = world.channel(context.req.param("channel"));
    if (channel.thread === null) throw new DiscordError("unknownChannel");
    return Response.json(
      channel.thread.memberIds.map((id) =>
        presentThreadMember(channel.id, id, channel.thread?.createdAtMs ?? 0),
      ),
    );
  });
  api.get("/channels/:channel/thread-members/:user", (context) => {
    const channel = world.channel(context.req.param("channel"));
    const id = userOf(context.req.param("user"));
    if (channel.thread?.memberIds.includes(id) !== true) throw new DiscordError("unknownMember");
    return Response.json(presentThreadMember(channel.id, id, channel.thread.createdAtMs));
  });
  api.put("/channels/:channel/thread-members/:user", (context) => {
    setThreadMember(
      world,
      world.channel(context.req.param("channel")),
      userOf(context.req.param("user")),
      true,
    );
    return noContent();
  });
  api.delete("/channels/:channel/thread-members/:user", (context) => {
    setThreadMember(
      world,
      world.channel(context.req.param("channel")),
      userOf(context.req.param("user")),
      false,
    );
    return noContent();
  });
}

function presentThreadMember(id: string, userId: string, joinedAtMs: number): object {
  return { id, user_id: userId, join_timestamp: new Date(joinedAtMs).toISOString(), flags: 0 };
}
