/** Binds Discord's events to what the bot does. No event may end the process: each failure is logged. */
import { type Client, Events, type GatewayDispatchPayload } from "discord.js";
import type { Logger } from "#engine/base/log.ts";
import { forgetMessage } from "./on-deletion.ts";
import { onEdit } from "./on-edit.ts";
import { onInteraction } from "./on-interaction.ts";
import { onMessage } from "./on-message.ts";
import { isReactionPacket, onReactionPacket } from "./on-reaction.ts";
import type { Room } from "./room.ts";
import type { Stamps } from "./stamps.ts";

/**
 * Begins to listen; to be called before connecting, so that nothing is missed.
 * @param opening events wait for it
 */
export function listen(client: Client, opening: Promise<Room>, stamps: Stamps, log: Logger): void {
  const handle = (event: string, work: (room: Room) => Promise<unknown>): void => {
    void opening.then(work).catch((error: unknown) => {
      log.error({ err: error, event }, "an event failed");
    });
  };
  client.on(Events.Raw, (packet: GatewayDispatchPayload, shardId: number) => {
    const stamp = stamps.note(packet, shardId);
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
  client.on(Events.MessageBulkDelete, (messages) => {
    for (const message of messages.values()) {
      handle("deletion", (room) => forgetMessage(room, message));
    }
  });
}
