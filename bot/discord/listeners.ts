/** Binds Discord's events to what the bot does. No event may end the process: each failure is logged. */
import {
  type Client,
  Events,
  GatewayDispatchEvents,
  type GatewayDispatchPayload,
  type GatewayReadyDispatchData,
} from "discord.js";
import type { Logger } from "#engine/base/log.ts";
import { type NewSession, reread } from "./gateway/reread.ts";
import { onAuditLog, onAutoMod, onBan, onLeave, onMemberUpdate } from "./moderation/events.ts";
import { forgetMessage } from "./on-deletion.ts";
import { onEdit } from "./on-edit.ts";
import { onInteraction } from "./on-interaction.ts";
import { onMessage } from "./on-message.ts";
import { isReactionPacket, onReactionPacket } from "./on-reaction.ts";
import type { Room } from "./room.ts";

type Handle = (event: string, work: (room: Room) => Promise<unknown>) => void;

/**
 * Begins to listen; to be called before connecting, so that nothing is missed.
 * @param opening events wait for it
 */
export function listen(
  client: Client,
  opening: Promise<Room>,
  { stamps, absence }: Pick<Room, "stamps" | "absence">,
  log: Logger,
): void {
  const handle: Handle = (event, work) => {
    void opening.then(work).catch((error: unknown) => {
      log.error({ err: error, event }, "an event failed");
    });
  };
  client.on(Events.Raw, (packet: GatewayDispatchPayload, shardId: number) => {
    const stamp = stamps.note(packet, shardId);
    if (packet.t !== GatewayDispatchEvents.Ready) absence.heard(shardId);
    else {
      const session = sessionOf(packet.d, shardId);
      absence.begins(shardId, session.id, [...session.guildIds]);
      handle("new session", (room) => reread(room, session));
    }
    if (!isReactionPacket(packet)) return;
    handle("reaction", (room) => onReactionPacket(room, packet, stamp));
  });
  client.on(Events.MessageCreate, (message) =>
    handle("message", (room) => onMessage(room, message)),
  );
  client.on(Events.InteractionCreate, (interaction) =>
    handle("interaction", (room) => onInteraction(room, interaction)),
  );
  client.on(Events.MessageDelete, (message) =>
    handle("deletion", (room) => forgetMessage(room, message)),
  );
  client.on(Events.MessageUpdate, (before, after) =>
    handle("edit", (room) => onEdit(room, before, after)),
  );
  listenToModeration(client, handle);
  client.on(Events.MessageBulkDelete, (messages) => {
    for (const message of messages.values()) {
      handle("deletion", (room) => forgetMessage(room, message));
    }
  });
}

function sessionOf({ session_id, guilds }: GatewayReadyDispatchData, shardId: number): NewSession {
  return { id: session_id, shardId, guildIds: new Set(guilds.map(({ id }) => id)) };
}

/** Discord's own moderation. */
function listenToModeration(client: Client, handle: Handle): void {
  client.on(Events.AutoModerationActionExecution, (execution) =>
    handle("automod", (room) => onAutoMod(room, execution)),
  );
  for (const event of [Events.AutoModerationRuleCreate, Events.AutoModerationRuleDelete] as const) {
    client.on(event, ({ guild }) => handle("rules", async (room) => room.rules.changed(guild.id)));
  }
  client.on(Events.AutoModerationRuleUpdate, (_, { guild }) =>
    handle("rules", async (room) => room.rules.changed(guild.id)),
  );
  client.on(Events.GuildBanAdd, ({ guild, user }) =>
    handle("ban", (room) => onBan(room, guild, user.id)),
  );
  client.on(Events.GuildMemberRemove, (member) => handle("leave", (room) => onLeave(room, member)));
  client.on(Events.GuildMemberUpdate, (_, member) =>
    handle("member", (room) => onMemberUpdate(room, member)),
  );
  client.on(Events.GuildAuditLogEntryCreate, (entry, guild) =>
    handle("audit log", (room) => onAuditLog(room, entry, guild)),
  );
}
