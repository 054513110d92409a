/** Routes of application commands, global and of the guild. */
import type { Hono } from "hono";
import {
  commandsOf,
  parseCommand,
  presentCommand,
  replaceCommands,
  upsertCommand,
} from "../interactions/commands.ts";
import { localisedFor } from "../interactions/localizations.ts";
import { DiscordError } from "../world/discord-error.ts";
import { isRecord } from "../world/message-input.ts";
import type { CommandRecord } from "../world/records.ts";
import { BOT_ID } from "../world/seed.ts";
import { readBody } from "./body.ts";
import { requireGuild } from "./guilds.ts";
import { noContent, type RestServices } from "./services.ts";

/** Adds the routes. */
export function addCommandRoutes(api: Hono, services: RestServices): void {
  addScope(api, services, "/applications/:application/commands", () => null);
  addScope(api, services, "/applications/:application/guilds/:guild/commands", (guild) => {
    requireGuild(guild ?? "");
    return guild ?? null;
  });
}

function addScope(
  api: Hono,
  { world }: RestServices,
  base: string,
  scopeOf: (guild: string | undefined) => string | null,
): void {
  const scope = (params: Record<string, string>) => {
    if (params["application"] !== BOT_ID) throw new DiscordError("unknownApplication");
    return scopeOf(params["guild"]);
  };
  const find = (params: Record<string, string>): CommandRecord => {
    const found = commandsOf(world, scope(params)).find((each) => each.id === params["command"]);
    if (found === undefined) throw new DiscordError("unknownCommand");
    return found;
  };
  api.get(base, (context) => {
    const all = commandsOf(world, scope(context.req.param())).map(presentCommand);
    const isWhole = context.req.query("with_localizations") === "true";
    const locale = context.req.header("x-discord-locale");
    return Response.json(isWhole ? all : all.map((each) => localisedFor(each, locale)));
  });
  api.put(base, async (context) => {
    const { json } = await readBody(context);
    return Response.json(
      replaceCommands(world, scope(context.req.param()), json).map(presentCommand),
    );
  });
  api.post(base, async (context) => {
    const guildId = scope(context.req.param());
    const input = parseCommand((await readBody(context)).json);
    const isNew = !commandsOf(world, guildId).some(
      (each) => each.name === input.name && each.type === input.type,
    );
    return Response.json(presentCommand(upsertCommand(world, guildId, input)), {
      status: isNew ? 201 : 200,
    });
  });
  api.get(`${base}/:command`, (context) =>
    Response.json(presentCommand(find(context.req.param()))),
  );
  api.patch(`${base}/:command`, async (context) => {
    const known = find(context.req.param());
    const { json } = await readBody(context);
    const merged = {
      ...known.body,
      name: known.name,
      ...(isRecord(json) ? json : {}),
      type: known.type,
    };
    const input = parseCommand(merged);
    if (input.name !== known.name) world.store.deleteCommand(known.id);
    return Response.json(presentCommand(upsertCommand(world, known.guildId, input)));
  });
  api.delete(`${base}/:command`, (context) => {
    world.store.deleteCommand(find(context.req.param()).id);
    world.bus.emit({ type: "commandsChanged" });
    return noContent();
  });
}
