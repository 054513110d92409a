/** A message was deleted: it leaves memory and log, and an answer in the making to it ends. */
import type { Message, PartialMessage } from "discord.js";
import type { Room } from "./room.ts";

/** Forgets a message, and every record whose context had it. */
export async function forgetMessage(room: Room, message: Message | PartialMessage): Promise<void> {
  await room.desk.withdraw(message.id);
  const tainted = await room.memory.forgetMessage(message.id);
  for (const exchangeId of tainted) room.capture.deleted(exchangeId);
  // Of a message that we still know, we know whether it can be in the log; of another we don't.
  const isStranger = !message.partial && !concernsBot(room, message) && tainted.length === 0;
  if (!isStranger || room.capture.holds(message.id)) room.capture.deleted(message.id);
}

function concernsBot(room: Room, message: Message): boolean {
  const botId = room.client.user.id;
  return (
    message.author.id === botId ||
    message.mentions.users.has(botId) ||
    message.channel.isDMBased() ||
    message.channel.isThread() ||
    message.reference !== null
  );
}
