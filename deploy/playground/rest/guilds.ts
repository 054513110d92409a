/** Routes of the gateway's address, the application, users and the guild. */
import { ApplicationFlags, PermissionFlagsBits as Bits } from "discord-api-types/v10";
import type { Hono } from "hono";
import { z } from "zod";
import { listAuditLog, presentAuditLogEntry } from "../world/audit-log.ts";
import { DiscordError } from "../world/discord-error.ts";
import { parseBody } from "../world/message-input.ts";
import {
  presentChannel,
  presentGuild,
  presentMember,
  presentSelf,
  presentThread,
  presentUser,
} from "../world/present.ts";
import { BOT_ID, GUILD_ID, GUILD_NAME, OWNER_ID } from "../world/seed.ts";
import type { World } from "../world/world.ts";
import { readBody } from "./body.ts";
import { readId, readLimit, readNumber } from "./query.ts";
import type { RestServices } from "./services.ts";

/** Adds the routes. */
export function addGuildRoutes(api: Hono, services: RestServices): void {
  const { world } = services;
  api.get("/gateway", () => Response.json({ url: services.gatewayUrl() }));
  api.get("/gateway/bot", () =>
    Response.json({
      url: services.gatewayUrl(),
      shards: services.gateway.shards,
      session_start_limit: services.gateway.sessionStartLimit(),
    }),
  );
  const answer = () => Response.json(presentApplication(world, services.gateway));
  api.get("/applications/@me", answer);
  api.get("/oauth2/applications/@me", answer);
  api.get("/users/@me", () => Response.json(presentSelf(world.user(BOT_ID))));
  api.get("/users/@me/guilds", () => {
    const { id, name, icon, features } = presentGuild(world);
    const permissions = String(world.botPermissions);
    return Response.json([{ id, name, icon, banner: null, owner: false, permissions, features }]);
  });
  api.post("/users/@me/channels", async (context) => {
    const { json } = await readBody(context);
    const { recipient_id: id } = parseBody(z.object({ recipient_id: z.string() }), json);
    return Response.json(presentChannel(world, world.directChannel(id)));
  });
  api.get("/users/:user", (context) =>
    Response.json(presentUser(world.user(context.req.param("user")))),
  );
  addMemberRoutes(api, world);
}

function addMemberRoutes(api: Hono, world: World): void {
  api.get("/guilds/:guild", (context) => {
    requireGuild(context.req.param("guild"));
    const counts = {
      approximate_member_count: world.store.users().length,
      approximate_presence_count: 1,
    };
    return Response.json({
      ...presentGuild(world),
      ...(context.req.query("with_counts") === "true" ? counts : {}),
    });
  });
  api.get("/guilds/:guild/channels", (context) => {
    requireGuild(context.req.param("guild"));
    const channels = world.store
      .channels()
      .filter((each) => each.guildId !== null && each.thread === null);
    return Response.json(channels.map((each) => presentChannel(world, each)));
  });
  api.get("/guilds/:guild/auto-moderation/rules", (context) => {
    requireGuild(context.req.param("guild"));
    if ((world.botPermissions & Bits.ManageGuild) === 0n)
      throw new DiscordError("missingPermissions");
    return Response.json(world.rules);
  });
  api.get("/guilds/:guild/audit-logs", (context) => {
    requireGuild(context.req.param("guild"));
    return Response.json(readAuditLog(world, context.req.query()));
  });
  api.get("/guilds/:guild/roles", (context) => {
    requireGuild(context.req.param("guild"));
    return Response.json(presentGuild(world).roles);
  });
  api.get("/guilds/:guild/members", (context) => {
    requireGuild(context.req.param("guild"));
    const limit = readLimit(context.req.query("limit"), 1, 1_000);
    const after = BigInt(readId("after", context.req.query("after")) ?? 0);
    const members = world.store.users().filter((user) => BigInt(user.id) > after);
    return Response.json(members.slice(0, limit).map(presentMember));
  });
  api.get("/guilds/:guild/members/:user", (context) => {
    requireGuild(context.req.param("guild"));
    const id = context.req.param("user");
    const user = world.store.user(id === "@me" ? BOT_ID : id);
    if (user === undefined) throw new DiscordError("unknownMember");
    return Response.json(presentMember(user));
  });
  api.get("/guilds/:guild/threads/active", (context) => {
    requireGuild(context.req.param("guild"));
    const threads = world.store
      .channels()
      .filter((each) => each.thread?.archived === false)
      .map(presentThread);
    const members = threads.flatMap((thread) => thread.member ?? []);
    return Response.json({ threads, members, has_more: false });
  });
}

/** @throws DiscordError 50013 without View Audit Log, 50035 for a query that makes no sense */
function readAuditLog(world: World, query: Readonly<Record<string, string>>): object {
  if ((world.botPermissions & (Bits.ViewAuditLog | Bits.Administrator)) === 0n)
    throw new DiscordError("missingPermissions");
  const action = query["action_type"];
  const entries = listAuditLog(world.store, world.clock.nowMs(), {
    userId: readId("user_id", query["user_id"]),
    targetId: readId("target_id", query["target_id"]),
    actionType: action === undefined ? undefined : readNumber("action_type", action),
    before: readId("before", query["before"]),
    after: readId("after", query["after"]),
    limit: readLimit(query["limit"], 50),
  });
  const ids = new Set(entries.flatMap(({ userId, targetId }) => [userId, targetId]));
  const users = [...ids].flatMap((id) => world.store.user(id) ?? []);
  return {
    audit_log_entries: entries.map(presentAuditLogEntry),
    users: users.map(presentUser),
    ...{ integrations: [], webhooks: [], guild_scheduled_events: [], threads: [] },
    ...{ application_commands: [], auto_moderation_rules: [] },
  };
}

/** @throws DiscordError 10004 for any guild but the one */
export function requireGuild(id: string): void {
  if (id !== GUILD_ID) throw new DiscordError("unknownGuild");
}

function presentApplication(world: World, gateway: RestServices["gateway"]): object {
  const bot = presentUser(world.user(BOT_ID));
  return {
    id: BOT_ID,
    name: bot.username,
    icon: null,
    description: `The bot of ${GUILD_NAME}`,
    type: null,
    bot,
    bot_public: false,
    bot_require_code_grant: false,
    verify_key: "0".repeat(64),
    // Tells the bot that it may ask for the privileged intent.
    flags: gateway.mayReadContent ? ApplicationFlags.GatewayMessageContentLimited : 0,
    flags_new: gateway.mayReadContent ? String(ApplicationFlags.GatewayMessageContentLimited) : "0",
    redirect_uris: [],
    interactions_endpoint_url: null,
    role_connections_verification_url: null,
    owner: presentUser(world.user(OWNER_ID)),
    approximate_guild_count: 1,
    approximate_user_install_count: 0,
    approximate_user_authorization_count: 0,
    explicit_content_filter: 0,
    team: null,
    eligible_oauth2_scopes: [],
    install_params: {
      scopes: ["bot", "applications.commands"],
      permissions: String(world.botPermissions),
    },
    integration_types_config: { 0: {} },
  };
}
