/** What the page knows: who I am, where I am, and the messages of each channel that was opened. */
import { fetchCommunity, PersonConnection } from "./server.ts";
import type {
  Channel,
  Command,
  Community,
  FeedEvent,
  Message,
  Named,
  PersonInfo,
} from "./types.ts";

/** https://discord.com/developers/docs/resources/message#message-object-message-types */
const THREAD_STARTER = 21;
/** How long a typing indicator lasts, in milliseconds. */
const TYPING_MS = 9_000;

/** Told of what changed, so that each part of the page redraws itself only. */
export type Change =
  | {
      readonly part:
        | "person"
        | "channels"
        | "place"
        | "commands"
        | "typing"
        | "status"
        | "connection"
        | "reply";
    }
  /** all messages of the place, newly loaded */
  | { readonly part: "messages" }
  | { readonly part: "message"; readonly message: Message; readonly isNew: boolean }
  | { readonly part: "messageDeleted"; readonly id: string };

/** The page's state. Parts of the page read it and subscribe to its changes. */
export class ChatState {
  community: Community;
  connection: PersonConnection;
  channels: Channel[] = [];
  commands: Command[] = [];
  /** oldest first */
  messages: Message[] = [];
  channelId = "";
  replyTo: Message | undefined;
  isOnline = false;
  hasOlder = false;
  readonly unread = new Set<string>();
  readonly #typing = new Map<string, { channelId: string; name: string; untilMs: number }>();
  readonly #listeners: ((change: Change) => void)[] = [];

  private constructor(community: Community, me: string) {
    this.community = community;
    this.connection = new PersonConnection(me);
  }

  /** Loads who there is, and takes the place of the person who was chosen last. */
  static async load(): Promise<ChatState> {
    const community = await fetchCommunity();
    const remembered = localStorage.getItem("person");
    const listed = community.people.filter((person) => person.listed);
    const me = listed.find((person) => person.id === remembered) ?? listed[0];
    if (me === undefined) throw new Error("The playground has nobody to be.");
    return new ChatState(community, me.id);
  }

  /** What a select of users (5), roles (6) or channels (8) offers. */
  entities(type: number): readonly Named[] {
    if (type === 6) return this.community.roles;
    if (type === 8) return this.channels.filter(({ kind }) => kind === "text");
    return this.community.people.filter((person) => person.listed || person.bot);
  }

  subscribe(listener: (change: Change) => void): void {
    this.#listeners.push(listener);
  }

  get me(): PersonInfo {
    return this.person(this.connection.id);
  }

  get channel(): Channel | undefined {
    return this.channels.find((each) => each.id === this.channelId);
  }

  /** Who has this id; someone who came later is shown by the name in their messages. */
  person(id: string): PersonInfo {
    const known = this.community.people.find((each) => each.id === id);
    return (
      known ?? { id, name: "Someone", bot: false, listed: false, roleIds: [], locale: "en-US" }
    );
  }

  /** Names of a person's roles, the highest first; the bot's own says nothing more than its name. */
  rolesOf(id: string): readonly string[] {
    const { roleIds, bot } = this.person(id);
    const own = this.community.roles.filter((role) => roleIds.includes(role.id));
    return bot ? [] : own.map(({ name }) => name).reverse();
  }

  /** Becomes a person: follows their events and loads what they see. */
  async become(id: string): Promise<void> {
    this.connection.close();
    this.connection = new PersonConnection(id);
    localStorage.setItem("person", id);
    this.unread.clear();
    this.#typing.clear();
    this.replyTo = undefined;
    const { connection } = this;
    connection.follow({
      onEvent: (event) => this.#receive(event),
      onGap: () => void this.refresh(),
      onState: (isOpen) => {
        this.isOnline = isOpen;
        this.#tell({ part: "connection" });
      },
    });
    this.#tell({ part: "person" });
    await this.refresh();
  }

  /** Chooses my language: commands are shown in it, and the bot replies to me in it. */
  async speak(locale: string): Promise<void> {
    await this.connection.setLocale(locale);
    const people = this.community.people.map((person) =>
      person.id === this.me.id ? { ...person, locale } : person,
    );
    this.community = { ...this.community, people };
    await this.#reloadCommands();
  }

  /** Loads channels, commands and messages anew. */
  async refresh(): Promise<void> {
    this.channels = await this.connection.channels();
    const isGone = this.channel === undefined;
    const first = this.channels.find((each) => each.kind === "text");
    this.#tell({ part: "channels" });
    await this.enter(isGone ? (first?.id ?? "") : this.channelId);
  }

  /** Goes to a channel or thread. */
  async enter(channelId: string): Promise<void> {
    if (channelId !== this.channelId) this.replyTo = undefined;
    this.channelId = channelId;
    this.unread.delete(channelId);
    const { connection } = this;
    const [messages, commands] = await Promise.all([
      connection.messages(channelId),
      connection.commands(channelId),
    ]);
    // Someone may have gone elsewhere, or become someone else, while this was loading.
    if (this.channelId !== channelId || this.connection !== connection) return;
    this.messages = messages;
    this.commands = commands;
    this.hasOlder = messages.length === 50;
    for (const part of ["place", "messages", "commands", "typing", "reply"] as const)
      this.#tell({ part });
  }

  /** Loads what was said before the oldest message. */
  async loadOlder(): Promise<void> {
    const oldest = this.messages[0];
    if (!this.hasOlder || oldest === undefined) return;
    this.hasOlder = false;
    const { channelId } = this;
    const older = await this.connection.messages(channelId, oldest.id);
    if (this.channelId !== channelId) return;
    this.hasOlder = older.length === 50;
    this.messages = [...older, ...this.messages];
    this.#tell({ part: "messages" });
  }

  /** Chooses the message to reply to, or none. */
  setReply(message: Message | undefined): void {
    this.replyTo = message;
    this.#tell({ part: "reply" });
  }

  /** Names of those who type here now. */
  typingNames(): string[] {
    const now = Date.now();
    const here = [...this.#typing.values()].filter(
      (each) => each.untilMs > now && each.channelId === this.channelId,
    );
    return here.map((each) => each.name);
  }

  #receive(event: FeedEvent): void {
    switch (event.type) {
      case "message":
        this.#receiveMessage(event.message, event.isNew);
        return;
      case "messageDeleted":
        if (event.channelId !== this.channelId) return;
        this.messages = this.messages.filter((each) => each.id !== event.id);
        this.#tell({ part: "messageDeleted", id: event.id });
        return;
      case "channel":
        this.channels = [
          ...this.channels.filter((each) => each.id !== event.channel.id),
          event.channel,
        ];
        this.#tell({ part: "channels" });
        return;
      case "channelDeleted":
        this.channels = this.channels.filter((each) => each.id !== event.id);
        this.#tell({ part: "channels" });
        if (event.id === this.channelId) void this.refresh();
        return;
      case "typing":
        this.#typing.set(event.userId, {
          channelId: event.channelId,
          name: event.name,
          untilMs: Date.now() + TYPING_MS,
        });
        setTimeout(() => this.#tell({ part: "typing" }), TYPING_MS + 50);
        this.#tell({ part: "typing" });
        return;
      case "commandsChanged":
        void this.#reloadCommands();
        return;
      case "statusChanged":
        this.#tell({ part: "status" });
    }
  }

  #receiveMessage(message: Message, isNew: boolean): void {
    if (isNew && this.#typing.delete(message.author.id)) this.#tell({ part: "typing" });
    if (message.channel_id !== this.channelId) {
      if (isNew) this.#countInThread(message);
      if (isNew && message.author.id !== this.me.id) {
        this.unread.add(message.channel_id);
        this.#tell({ part: "channels" });
      }
      return;
    }
    const index = this.messages.findIndex((each) => each.id === message.id);
    if (index < 0 && !isNew) return;
    if (index < 0) this.messages.push(message);
    else this.messages[index] = message;
    this.#tell({ part: "message", message, isNew: index < 0 });
  }

  /** The chip under a message shows how many there are in its thread, which has the message's id. */
  #countInThread(message: Message): void {
    const index = this.messages.findIndex((each) => each.thread?.id === message.channel_id);
    const starter = this.messages[index];
    const thread = starter?.thread;
    const isCounted = message.type !== THREAD_STARTER;
    if (starter === undefined || thread === undefined || !("message_count" in thread) || !isCounted)
      return;
    const counted = { ...thread, message_count: (thread.message_count ?? 0) + 1 };
    const changed: Message = { ...starter, thread: counted };
    this.messages[index] = changed;
    this.#tell({ part: "message", message: changed, isNew: false });
  }

  async #reloadCommands(): Promise<void> {
    const { channelId } = this;
    const commands = await this.connection.commands(channelId);
    if (channelId !== this.channelId) return;
    this.commands = commands;
    this.#tell({ part: "commands" });
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}
