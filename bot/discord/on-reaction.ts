/**
 * Reactions were made or withdrawn: by one person, or all at once by a moderator. They are read from the
 * gateway's own packets: these carry their number, whatever discord.js has of the message.
 */
import {
  type GatewayMessageReactionAddDispatchData as Added,
  type GatewayDispatchPayload,
  type GatewayMessageReactionAddDispatch,
  type GatewayMessageReactionRemoveAllDispatch,
  type GatewayMessageReactionRemoveDispatch,
  type GatewayMessageReactionRemoveEmojiDispatch,
  GatewayDispatchEvents as Name,
  type GatewayMessageReactionRemoveDispatchData as Removed,
} from "discord.js";
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import { notSavedReply } from "../commands/replies.ts";
import type { CaptureOutcome } from "../feedback/capture.ts";
import type { Stamp } from "../feedback/gateway-order.ts";
import type { Room } from "./room.ts";

type ReactionPacket =
  | GatewayMessageReactionAddDispatch
  | GatewayMessageReactionRemoveDispatch
  | GatewayMessageReactionRemoveAllDispatch
  | GatewayMessageReactionRemoveEmojiDispatch;

const NAMES: ReadonlySet<string> = new Set([
  Name.MessageReactionAdd,
  Name.MessageReactionRemove,
  Name.MessageReactionRemoveAll,
  Name.MessageReactionRemoveEmoji,
]);

/** Whether a packet is about reactions. */
export function isReactionPacket(packet: GatewayDispatchPayload): packet is ReactionPacket {
  return NAMES.has(packet.t);
}

/** Records what a packet says of reactions. */
export async function onReactionPacket(
  room: Room,
  packet: ReactionPacket,
  stamp: Stamp,
): Promise<void> {
  switch (packet.t) {
    case Name.MessageReactionAdd:
      return onReaction(room, packet.d, "made", stamp);
    case Name.MessageReactionRemove:
      return onReaction(room, packet.d, "withdrawn", stamp);
    case Name.MessageReactionRemoveAll:
      return onCleared(room, packet.d, stamp);
    case Name.MessageReactionRemoveEmoji:
      // A custom emoji may be called 👍 too.
      if (packet.d.emoji.id !== null) return;
      return onCleared(room, packet.d, stamp, packet.d.emoji.name);
  }
}

/** Bots' reactions, our own among them, are no votes. */
async function onReaction(
  room: Room,
  data: Added | Removed,
  action: FeedbackEvent["action"],
  stamp: Stamp,
): Promise<void> {
  const isByBot = "member" in data && data.member?.user?.bot === true;
  if (isByBot || data.user_id === room.client.user.id || data.emoji.id !== null) return;
  // Discord names the author where it knows: others' messages show no answer of ours.
  const author = "message_author_id" in data ? data.message_author_id : undefined;
  if (author !== undefined && author !== room.client.user.id) return;
  const outcome = room.capture.reaction({
    messageId: data.message_id,
    personId: data.user_id,
    emoji: data.emoji.name,
    action,
    stamp,
  });
  await tellIfNotSaved(room, data, outcome);
}

async function onCleared(
  room: Room,
  data: {
    readonly message_id: string;
    readonly channel_id: string;
    readonly guild_id?: string | undefined;
  },
  stamp: Stamp,
  emoji?: string | null,
): Promise<void> {
  await tellIfNotSaved(room, data, room.capture.reactionsCleared(data.message_id, stamp, emoji));
}

async function tellIfNotSaved(
  room: Room,
  at: {
    readonly message_id: string;
    readonly channel_id: string;
    readonly guild_id?: string | undefined;
  },
  outcome: CaptureOutcome,
): Promise<void> {
  if (outcome.kind !== "not_saved" || !room.notices.mayTell(at.channel_id)) return;
  const channel = await room.client.channels.fetch(at.channel_id).catch(() => null);
  if (channel?.isSendable() !== true) return;
  const language = await room.languageOf(at.guild_id ?? null);
  await channel.send({
    content: notSavedReply(language, outcome.isDiskFull),
    reply: { messageReference: at.message_id, failIfNotExists: false },
  });
}
