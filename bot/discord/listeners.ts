/** Binds Discord's events to what the bot does. No event may end the process: each failure is logged. */
import { type Client, Events } from "discord.js";
import type { Logger } from "#engine/base/log.ts";
import { forgetMessage } from "./on-deletion.ts";
import { onEdit } from "./on-edit.ts";
import { onInteraction } from "./on-interaction.ts";
import { onMessage } from "./on-message.ts";
import { onReaction, onReactionsCleared } from "./on-reaction.ts";
import type { Room } from "./room.ts";

/**
 * Begins to listen; to be called before connecting, so that nothing is missed.
 * @param opening events wait for it
 */
export function listen(client: Client, opening: Promise<Room>, log: Logger): void {
  const handle = (event: string, work: (room: Room) => Promise<unknown>): void => {
    void opening.then(work).catch((error: unknown) => {
      log.error({ err: error, event }, "an event failed");
    });
  };
  client.on(Events.MessageCreate, (message) =>
    handle("message", (room) => onMessage(room, message)),
  );
  client.on(Events.InteractionCreate, (interaction) =>
    handle("interaction", (room) => onInteraction(room, interaction)),
  );
  client.on(Events.MessageReactionAdd, (reaction, user) =>
    handle("reaction", (room) => onReaction(room, reaction, user, "made")),
  );
  client.on(Events.MessageReactionRemove, (reaction, user) =>
    handle("reaction", (room) => onReaction(room, reaction, user, "withdrawn")),
  );
  client.on(Events.MessageReactionRemoveAll, (message) =>
    handle("reactions", (room) => onReactionsCleared(room, message)),
  );
  client.on(Events.MessageReactionRemoveEmoji, ({ message, emoji }) =>
    handle("reactions", (room) => onReactionsCleared(room, message, emoji.name)),
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
