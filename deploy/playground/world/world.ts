/**
 * The local Discord's rules: who sees and may do what, and what each act changes.
 * Everything goes through here, be it asked for by the bot, the page or a scripted person.
 */
import {
  type APIAutoModerationRule,
  PermissionFlagsBits as Bits,
  ChannelType,
  Locale,
  MessageFlags,
  MessageType,
} from "discord-api-types/v10";
import type { Clock } from "#engine/base/clock.ts";
import { channelPermissions } from "./access.ts";
import { DiscordError } from "./discord-error.ts";
import { EventBus } from "./events.ts";
import type { ChannelRecord, MessageRecord, UserRecord } from "./records.ts";
import { seedChannels, seedUsers } from "./seed.ts";
import { Snowflakes } from "./snowflake.ts";
import type { Store } from "./store.ts";

/** Different emojis on one message. */
const REACTION_LIMIT = 20;

const TEXT_CHANNELS: readonly number[] = [
  ChannelType.GuildText,
  ChannelType.DM,
  ChannelType.PublicThread,
  ChannelType.PrivateThread,
];

/** A message about to be made; what is left out is empty. */
export type MessageDraft = Pick<MessageRecord, "channelId" | "authorId" | "content"> &
  Partial<Omit<MessageRecord, "id" | "createdAtMs" | "editedAtMs">>;

/** The state of the local Discord and every change to it. */
export class World {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Snowflakes;
  readonly bus = new EventBus();
  /** AutoMod's rules; kept for as long as the server runs. */
  rules: readonly APIAutoModerationRule[] = [];
  /** The server's own language; kept for as long as the server runs. */
  guildLocale = Locale.EnglishUS;
  /** Permissions of the bot's role. */
  readonly botPermissions: bigint;

  constructor(options: { store: Store; clock: Clock; botPermissions: bigint }) {
    this.store = options.store;
    this.clock = options.clock;
    this.botPermissions = options.botPermissions;
    if (this.store.users().length === 0) {
      this.store.atomically(() => {
        for (const user of seedUsers(this.clock.nowMs())) this.store.saveUser(user);
        for (const channel of seedChannels()) this.store.saveChannel(channel);
      });
    }
    this.ids = new Snowflakes(this.clock, this.store.lastId());
  }

  /** @throws DiscordError 10013 */
  user(id: string): UserRecord {
    const user = this.store.user(id);
    if (user === undefined) throw new DiscordError("unknownUser");
    return user;
  }

  /** @throws DiscordError 10003 */
  channel(id: string): ChannelRecord {
    const channel = this.store.channel(id);
    if (channel === undefined) throw new DiscordError("unknownChannel");
    return channel;
  }

  /** A message that `viewerId` may see. @throws DiscordError 10008 */
  message(channelId: string, id: string, viewerId: string): MessageRecord {
    const message = /^\d{1,18}\d?$/.test(id) ? this.store.message(id) : undefined;
    const hidden = message?.visibleTo !== null && message?.visibleTo !== viewerId;
    if (message === undefined || message.channelId !== channelId || hidden) {
      throw new DiscordError("unknownMessage");
    }
    return message;
  }

  /** Permission bits of a person in a channel; a thread's are its parent's. */
  permissions(userId: string, channel: ChannelRecord): bigint {
    const place =
      channel.thread === null || channel.parentId === null
        ? channel
        : this.channel(channel.parentId);
    return channelPermissions(this.user(userId), place, this.botPermissions);
  }

  /** @throws DiscordError 50001 when the channel is not visible, 50013 when `bits` are missing */
  require(userId: string, channel: ChannelRecord, bits: bigint): void {
    const has = this.permissions(userId, channel);
    if ((has & Bits.ViewChannel) === 0n) throw new DiscordError("missingAccess");
    if ((has & bits) !== bits) throw new DiscordError("missingPermissions");
  }

  /** @throws DiscordError when this person may not write there */
  requireWriting(userId: string, channel: ChannelRecord): void {
    if (!TEXT_CHANNELS.includes(channel.type)) throw new DiscordError("notTextChannel");
    this.require(
      userId,
      channel,
      channel.thread === null ? Bits.SendMessages : Bits.SendMessagesInThreads,
    );
    if (channel.thread?.locked === true) throw new DiscordError("threadArchived");
  }

  /** Stores a new message and tells everyone who may see it. */
  addMessage(draft: MessageDraft): MessageRecord {
    const message: MessageRecord = {
      type: MessageType.Default,
      embeds: [],
      components: [],
      attachments: [],
      flags: 0,
      mentionIds: [],
      mentionEveryone: false,
      reference: null,
      interaction: null,
      nonce: null,
      visibleTo: null,
      ...draft,
      id: this.ids.next(),
      createdAtMs: this.clock.nowMs(),
      editedAtMs: null,
    };
    const woken = this.store.atomically(() => {
      this.store.saveMessage(message);
      return message.visibleTo === null ? this.#touchChannel(message) : undefined;
    });
    if (woken !== undefined) this.bus.emit({ type: "channelUpdated", channel: woken });
    this.bus.emit({ type: "messageCreated", message });
    return message;
  }

  /** Replaces a message; `edited` stamps it with the time, as a change of what people read does. */
  changeMessage(message: MessageRecord, edited: boolean): MessageRecord {
    const changed = edited ? { ...message, editedAtMs: this.clock.nowMs() } : message;
    this.store.saveMessage(changed);
    this.bus.emit({ type: "messageUpdated", message: changed });
    return changed;
  }

  /** Deletes own messages, or anyone's with Manage Messages. @throws DiscordError 50013 */
  deleteMessage(message: MessageRecord, actorId: string): void {
    const channel = this.channel(message.channelId);
    if (message.authorId !== actorId && message.visibleTo !== actorId)
      this.require(actorId, channel, Bits.ManageMessages);
    this.store.atomically(() => this.store.deleteMessage(message.id));
    this.bus.emit({ type: "messageDeleted", message });
  }

  /** Places a reaction; placing it again changes nothing. @throws DiscordError */
  react(message: MessageRecord, emoji: string, userId: string): void {
    const channel = this.channel(message.channelId);
    this.require(userId, channel, Bits.ReadMessageHistory);
    if ((message.flags & MessageFlags.Ephemeral) !== 0) throw new DiscordError("unknownMessage");
    if (channel.thread?.archived === true) throw new DiscordError("threadArchived");
    const tallies = this.store.reactions(message.id);
    if (!tallies.some((each) => each.emoji === emoji)) {
      this.require(userId, channel, Bits.AddReactions);
      if (tallies.length >= REACTION_LIMIT) throw new DiscordError("tooManyReactions");
    }
    if (this.store.addReaction(message.id, emoji, userId)) {
      this.bus.emit({ type: "reactionAdded", message, emoji, userId });
    }
  }

  /** Withdraws a reaction; someone else's needs Manage Messages. @throws DiscordError */
  unreact(message: MessageRecord, emoji: string, userId: string, actorId: string): void {
    if (userId !== actorId)
      this.require(actorId, this.channel(message.channelId), Bits.ManageMessages);
    if (this.store.removeReaction(message.id, emoji, userId)) {
      this.bus.emit({ type: "reactionRemoved", message, emoji, userId });
    }
  }

  /** Withdraws everybody's reactions, of one emoji or all. @throws DiscordError */
  clearReactions(message: MessageRecord, emoji: string | null, actorId: string): void {
    this.require(actorId, this.channel(message.channelId), Bits.ManageMessages);
    this.store.atomically(() => {
      for (const tally of this.store.reactions(message.id)) {
        if (emoji !== null && tally.emoji !== emoji) continue;
        for (const userId of tally.userIds)
          this.store.removeReaction(message.id, tally.emoji, userId);
      }
    });
    this.bus.emit({ type: "reactionsCleared", message, emoji });
  }

  /** Tells that someone is typing. @throws DiscordError */
  type(channelId: string, userId: string): void {
    this.requireWriting(userId, this.channel(channelId));
    this.bus.emit({ type: "typing", channelId, userId });
  }

  /** The member of that user name, who joins now if nobody has it. */
  join(username: string, displayName: string): UserRecord {
    const known = this.store.userNamed(username);
    if (known !== undefined) return known;
    const joinedAtMs = this.clock.nowMs();
    const user = {
      id: this.ids.next(),
      username,
      displayName,
      bot: false,
      listed: false,
      joinedAtMs,
      roleIds: [],
      locale: Locale.EnglishUS,
    };
    this.store.saveUser(user);
    this.bus.emit({ type: "memberAdded", user });
    return user;
  }

  /** Gives a member these roles in place of those before. */
  setRoles(userId: string, roleIds: readonly string[]): void {
    const user = { ...this.user(userId), roleIds: [...roleIds] };
    this.store.saveUser(user);
    this.bus.emit({ type: "memberChanged", user });
  }

  /** The language that a person chose in their settings: interactions carry it. */
  setLocale(userId: string, locale: Locale): void {
    this.store.saveUser({ ...this.user(userId), locale });
  }

  /** The direct-message channel of a person with the bot, opened if there is none yet. */
  directChannel(userId: string): ChannelRecord {
    if (this.user(userId).bot) throw new DiscordError("cannotMessageUser");
    const known = this.store
      .channels()
      .find((each) => each.type === ChannelType.DM && each.recipientId === userId);
    if (known !== undefined) return known;
    const channel: ChannelRecord = {
      id: this.ids.next(),
      guildId: null,
      parentId: null,
      type: ChannelType.DM,
      name: "",
      topic: null,
      position: 0,
      recipientId: userId,
      lastMessageId: null,
      overwrites: [],
      thread: null,
    };
    this.store.saveChannel(channel);
    this.bus.emit({ type: "channelCreated", channel });
    return channel;
  }

  /** Records a channel's last message; wakes an archived thread. Returns the thread if it woke. */
  #touchChannel(message: MessageRecord): ChannelRecord | undefined {
    const channel = this.channel(message.channelId);
    const { thread } = channel;
    if (thread === null) {
      this.store.saveChannel({ ...channel, lastMessageId: message.id });
      return undefined;
    }
    const memberIds = thread.memberIds.includes(message.authorId)
      ? thread.memberIds
      : [...thread.memberIds, message.authorId];
    // A thread's own starting message is not counted: it stands in the parent channel.
    const isCounted = message.type !== MessageType.ThreadStarterMessage;
    const messageCount = thread.messageCount + (isCounted ? 1 : 0);
    const changed: ChannelRecord = {
      ...channel,
      lastMessageId: message.id,
      thread: { ...thread, memberIds, archived: false, messageCount },
    };
    this.store.saveChannel(changed);
    return thread.archived ? changed : undefined;
  }
}
