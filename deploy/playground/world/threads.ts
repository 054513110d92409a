/** Threads: made from a message or on their own, archived, joined and left. */
import {
  PermissionFlagsBits as Bits,
  ChannelType,
  MessageFlags,
  MessageType,
} from "discord-api-types/v10";
import { DiscordError } from "./discord-error.ts";
import type { ChannelRecord, MessageRecord } from "./records.ts";
import { BOT_ID } from "./seed.ts";
import { snowflakeTimeMs } from "./snowflake.ts";
import type { World } from "./world.ts";

/** How a thread is to start. */
export type ThreadDraft = {
  readonly name: string;
  readonly autoArchiveMinutes: number;
  /** of a thread without a starting message: private threads have discord-api-types' type 12 */
  readonly isPrivate?: boolean;
};

/**
 * Starts a thread on `message`; it gets the message's id.
 * @throws DiscordError 160004 when it has one, 50013, 50024-like refusals for threads and DMs
 */
export function startThreadOnMessage(
  world: World,
  message: MessageRecord,
  draft: ThreadDraft,
  actorId: string,
): ChannelRecord {
  const parent = requireParent(world, message.channelId, actorId);
  if (world.store.channel(message.id) !== undefined) throw new DiscordError("threadAlreadyCreated");
  const thread = makeThread(world, parent, draft, { id: message.id, ownerId: actorId });
  world.bus.emit({ type: "channelCreated", channel: thread });
  world.changeMessage({ ...message, flags: message.flags | MessageFlags.HasThread }, false);
  world.addMessage({
    channelId: thread.id,
    authorId: message.authorId,
    content: "",
    type: MessageType.ThreadStarterMessage,
    reference: { messageId: message.id, channelId: message.channelId },
  });
  return world.channel(thread.id);
}

/** Starts a thread without a message; a public one is announced in its channel. @throws DiscordError */
export function startThread(
  world: World,
  channelId: string,
  draft: ThreadDraft,
  actorId: string,
): ChannelRecord {
  const parent = requireParent(world, channelId, actorId);
  const thread = makeThread(world, parent, draft, { id: world.ids.next(), ownerId: actorId });
  world.bus.emit({ type: "channelCreated", channel: thread });
  if (draft.isPrivate !== true) {
    world.addMessage({
      channelId: parent.id,
      authorId: actorId,
      content: draft.name,
      type: MessageType.ThreadCreated,
      reference: { messageId: null, channelId: thread.id },
    });
  }
  return thread;
}

/** Renames, archives or locks a thread. @throws DiscordError 50013 for someone else's thread */
export function changeThread(
  world: World,
  channel: ChannelRecord,
  change: {
    name?: string | undefined;
    archived?: boolean | undefined;
    locked?: boolean | undefined;
  },
  actorId: string,
): ChannelRecord {
  const { thread } = channel;
  if (thread === null) throw new DiscordError("missingPermissions");
  if (thread.ownerId !== actorId || change.locked !== undefined) {
    world.require(actorId, channel, Bits.ManageThreads);
  }
  const changed: ChannelRecord = {
    ...channel,
    name: change.name ?? channel.name,
    thread: {
      ...thread,
      archived: change.archived ?? thread.archived,
      locked: change.locked ?? thread.locked,
      changedAtMs: world.clock.nowMs(),
    },
  };
  world.store.saveChannel(changed);
  world.bus.emit({ type: "channelUpdated", channel: changed });
  return changed;
}

/** Archives the threads in which nothing was said for as long as each allows. */
export function archiveIdleThreads(world: World): void {
  const nowMs = world.clock.nowMs();
  for (const channel of world.store.channels()) {
    const { thread, lastMessageId } = channel;
    if (thread === null || thread.archived) continue;
    const spokenAtMs = lastMessageId === null ? 0 : snowflakeTimeMs(lastMessageId);
    const idleMs = nowMs - Math.max(spokenAtMs, thread.changedAtMs);
    if (idleMs < thread.autoArchiveMinutes * 60_000) continue;
    const changed = { ...channel, thread: { ...thread, archived: true, changedAtMs: nowMs } };
    world.store.saveChannel(changed);
    world.bus.emit({ type: "channelUpdated", channel: changed });
  }
}

/** Deletes a thread and its messages. @throws DiscordError 50013 */
export function deleteThread(world: World, channel: ChannelRecord, actorId: string): void {
  if (channel.thread === null) throw new DiscordError("missingPermissions");
  world.require(actorId, channel, Bits.ManageThreads);
  world.store.atomically(() => world.store.deleteChannel(channel.id));
  world.bus.emit({ type: "channelDeleted", channel });
}

/** Adds or removes a member of a thread; doing so again changes nothing. @throws DiscordError */
export function setThreadMember(
  world: World,
  channel: ChannelRecord,
  userId: string,
  isMember: boolean,
): void {
  const { thread } = channel;
  if (thread === null) throw new DiscordError("notTextChannel");
  if (thread.archived) throw new DiscordError("threadArchived");
  if (thread.memberIds.includes(userId) === isMember) return;
  world.user(userId);
  const memberIds = isMember
    ? [...thread.memberIds, userId]
    : thread.memberIds.filter((each) => each !== userId);
  const changed = { ...channel, thread: { ...thread, memberIds } };
  world.store.saveChannel(changed);
  const [added, removed] = isMember ? [[userId], []] : [[], [userId]];
  world.bus.emit({ type: "threadMembersChanged", channel: changed, added, removed });
}

/** Whether a private thread hides from the person; public ones never do. */
export function hidesThread(channel: ChannelRecord, userId: string): boolean {
  return (
    channel.type === ChannelType.PrivateThread &&
    userId !== BOT_ID &&
    channel.thread?.memberIds.includes(userId) !== true
  );
}

function requireParent(world: World, channelId: string, actorId: string): ChannelRecord {
  const parent = world.channel(channelId);
  if (parent.type !== ChannelType.GuildText) throw new DiscordError("notTextChannel");
  world.require(actorId, parent, Bits.CreatePublicThreads);
  return parent;
}

function makeThread(
  world: World,
  parent: ChannelRecord,
  draft: ThreadDraft,
  made: { id: string; ownerId: string },
): ChannelRecord {
  const nowMs = world.clock.nowMs();
  const thread: ChannelRecord = {
    id: made.id,
    guildId: parent.guildId,
    parentId: parent.id,
    type: draft.isPrivate === true ? ChannelType.PrivateThread : ChannelType.PublicThread,
    name: draft.name,
    topic: null,
    position: 0,
    recipientId: null,
    lastMessageId: null,
    overwrites: [],
    thread: {
      ownerId: made.ownerId,
      archived: false,
      locked: false,
      autoArchiveMinutes: draft.autoArchiveMinutes,
      changedAtMs: nowMs,
      createdAtMs: nowMs,
      memberIds: [made.ownerId],
      messageCount: 0,
    },
  };
  world.store.saveChannel(thread);
  return thread;
}
