/** Events for the page, as one person sees them. Knows nothing of how they travel. */
import type { APIMessage } from "discord-api-types/v10";
import type { Channel, FeedEvent, Message } from "../page/types.ts";
import type { WorldEvent } from "../world/events.ts";
import type { ChannelRecord, MessageRecord } from "../world/records.ts";
import { hidesThread } from "../world/threads.ts";
import type { World } from "../world/world.ts";
import type { PersonActions } from "./actions.ts";

/** Presents events to a person; what they may not see is left out. */
export class PersonFeed {
  readonly #world: World;
  readonly #actions: PersonActions;
  readonly #personId: string;

  constructor(world: World, actions: PersonActions, personId: string) {
    this.#world = world;
    this.#actions = actions;
    this.#personId = personId;
  }

  /** What the person's page is told of `event`; undefined for nothing. */
  present(event: WorldEvent): FeedEvent | undefined {
    switch (event.type) {
      case "messageCreated":
      case "messageUpdated":
        return this.#message(event.message, event.type === "messageCreated");
      case "reactionAdded":
      case "reactionRemoved":
      case "reactionsCleared":
        return this.#message(event.message, false);
      case "messageDeleted":
        return this.#isSeen(event.message)
          ? { type: "messageDeleted", id: event.message.id, channelId: event.message.channelId }
          : undefined;
      case "channelCreated":
      case "channelUpdated":
      case "threadMembersChanged":
        return this.sees(event.channel)
          ? { type: "channel", channel: presentPageChannel(event.channel) }
          : undefined;
      case "channelDeleted":
        return { type: "channelDeleted", id: event.channel.id };
      case "typing":
        return this.#typing(event.channelId, event.userId);
      case "commandsChanged":
        return { type: "commandsChanged" };
      case "botPresence":
        return { type: "statusChanged" };
      case "moderated":
      case "memberAdded":
      case "memberChanged":
      case "interactionSent":
      case "interactionSettled":
      case "modalOpened":
        return undefined;
    }
  }

  /** Whether the person sees a channel at all. */
  sees(channel: ChannelRecord): boolean {
    return (
      this.#world.permissions(this.#personId, channel) !== 0n &&
      !hidesThread(channel, this.#personId)
    );
  }

  /** Adds to a presented message who reacted with what. */
  withReactors(message: APIMessage): Message {
    const names = this.#world.store
      .reactions(message.id)
      .map(({ emoji, userIds }) => [emoji, userIds.map((id) => this.#world.user(id).displayName)]);
    return { ...message, reactors: Object.fromEntries(names) };
  }

  #message(stale: MessageRecord, isNew: boolean): FeedEvent | undefined {
    // A reaction's event carries the message as it was when it was looked up.
    const message = this.#world.store.message(stale.id);
    if (message === undefined || !this.#isSeen(message)) return undefined;
    return {
      type: "message",
      isNew,
      message: this.withReactors(this.#actions.present(message, this.#personId)),
    };
  }

  #typing(channelId: string, userId: string): FeedEvent | undefined {
    const channel = this.#world.store.channel(channelId);
    if (channel === undefined || !this.sees(channel) || userId === this.#personId) return undefined;
    return { type: "typing", channelId, userId, name: this.#world.user(userId).displayName };
  }

  #isSeen(message: MessageRecord): boolean {
    const channel = this.#world.store.channel(message.channelId);
    const isAddressed = message.visibleTo === null || message.visibleTo === this.#personId;
    return isAddressed && channel !== undefined && this.sees(channel);
  }
}

/** A channel in the page's form. */
export function presentPageChannel(channel: ChannelRecord): Channel {
  const { id, parentId, name, topic, position } = channel;
  const kind = channel.thread !== null ? "thread" : channel.guildId === null ? "direct" : null;
  return {
    id,
    kind: kind ?? (channel.type === 4 ? "category" : "text"),
    parentId,
    name,
    topic,
    position,
    isArchived: channel.thread?.archived === true,
  };
}
