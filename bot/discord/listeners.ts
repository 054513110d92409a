/** Binds Discord's events to what the bot does. No event may end the process: each failure is logged. */
import { Events } from "discord.js";
import { onDeletion } from "./on-deletion.ts";
import { onInteraction } from "./on-interaction.ts";
import { onMessage } from "./on-message.ts";
import { onReaction, onReactionsCleared } from "./on-reaction.ts";
import type { Room } from "./room.ts";

/** Begins to listen. */
export function listen(room: Room): void {
  const { client } = room;
  const handle = (event: string, work: Promise<unknown>): void => {
    void work.catch((error: unknown) => room.log.error({ err: error, event }, "an event failed"));
  };
  client.on(Events.MessageCreate, (message) => handle("message", onMessage(room, message)));
  client.on(Events.InteractionCreate, (interaction) =>
    handle("interaction", onInteraction(room, interaction)),
  );
  client.on(Events.MessageReactionAdd, (reaction, user) =>
    handle("reaction", onReaction(room, reaction, user, "made")),
  );
  client.on(Events.MessageReactionRemove, (reaction, user) =>
    handle("reaction", onReaction(room, reaction, user, "withdrawn")),
  );
  client.on(Events.MessageReactionRemoveAll, (message) =>
    handle("reactions", onReactionsCleared(room, message)),
  );
  client.on(Events.MessageReactionRemoveEmoji, ({ message, emoji }) =>
    handle("reactions", onReactionsCleared(room, message, emoji.name)),
  );
  client.on(Events.MessageDelete, (message) => handle("deletion", onDeletion(room, message)));
  client.on(Events.MessageBulkDelete, (messages) => {
    for (const message of messages.values()) handle("deletion", onDeletion(room, message));
  });
}
