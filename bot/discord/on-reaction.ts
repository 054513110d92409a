/** Reactions were made or withdrawn: by one person, or all at once by a moderator. */
import type {
  Message,
  MessageReaction,
  PartialMessage,
  PartialMessageReaction,
  PartialUser,
  User,
} from "discord.js";
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import { notSavedReply } from "../commands/replies.ts";
import type { CaptureOutcome } from "../feedback/capture.ts";
import type { Room } from "./room.ts";

/** Records a person's reaction. Bots' reactions, our own among them, are no votes. */
export async function onReaction(
  room: Room,
  reaction: MessageReaction | PartialMessageReaction,
  user: User | PartialUser,
  action: FeedbackEvent["action"],
): Promise<void> {
  if (user.bot === true || user.id === room.client.user.id) return;
  const { message, emoji } = reaction;
  // A custom emoji may be called 👍 too.
  if (emoji.id !== null) return;
  // The answer may still be in the making, and then has no record yet.
  await room.desk.settled(message.id);
  const outcome = room.capture.reaction({
    messageId: message.id,
    personId: user.id,
    emoji: emoji.name,
    action,
  });
  await tellIfNotSaved(room, message, outcome);
}

/** All reactions of a message went, or all of one emoji. */
export async function onReactionsCleared(
  room: Room,
  message: Message | PartialMessage,
  emoji?: string | null,
): Promise<void> {
  await room.desk.settled(message.id);
  await tellIfNotSaved(room, message, room.capture.reactionsCleared(message.id, emoji));
}

async function tellIfNotSaved(
  room: Room,
  message: Message | PartialMessage,
  outcome: CaptureOutcome,
): Promise<void> {
  const { channel } = message;
  if (outcome.kind !== "not_saved" || !channel.isSendable()) return;
  if (!room.notices.mayTell(channel.id)) return;
  await channel.send({
    content: notSavedReply(outcome.isDiskFull),
    reply: { messageReference: message.id, failIfNotExists: false },
  });
}
