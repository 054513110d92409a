/** A message was deleted: it leaves memory and log, and an answer in the making to it ends. */
import type { Message, PartialMessage } from "discord.js";
import type { CaptureOutcome } from "../feedback/capture.ts";
import type { Room } from "./room.ts";

/** Forgets a message, and every record whose context had it. */
export async function forgetMessage(room: Room, message: Message | PartialMessage): Promise<void> {
  const tainted = await forgetContext(room, message.id);
  // Of a message that we still know, we know whether it can be in the log; of another we don't.
  const isStranger = !message.partial && !concernsBot(room, message) && tainted.length === 0;
  if (!isStranger || room.capture.holds(message.id)) room.capture.deleted(message.id);
}

/** Forgets a message that the log has, and every record whose context had it. */
export async function forgetById(room: Room, messageId: string): Promise<CaptureOutcome> {
  await forgetContext(room, messageId);
  return room.capture.deleted(messageId);
}

async function forgetContext(room: Room, messageId: string): Promise<readonly string[]> {
  await room.desk.withdraw(messageId);
  const tainted = await room.memory.forgetMessage(messageId);
  for (const exchangeId of tainted) room.capture.deleted(exchangeId);
  return tainted;
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
