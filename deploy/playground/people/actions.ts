/**
 * What a person can do in the local Discord. The page's HTTP API and scripted people both end here,
 * so that a test acts exactly as someone at the page does.
 */
import {
  type APIMessage,
  PermissionFlagsBits as Bits,
  ApplicationCommandType as CommandType,
  InteractionType,
} from "discord-api-types/v10";
import { commandData, type GivenOptions, usableCommands } from "../interactions/commands.ts";
import type { InteractionDesk, InteractionOutcome } from "../interactions/desk.ts";
import { readComponent, readModalValues } from "../interactions/forms.ts";
import { isLocale } from "../interactions/localizations.ts";
import { DiscordError, fieldError } from "../world/discord-error.ts";
import { readEmoji } from "../world/emoji.ts";
import { parseMessage } from "../world/message-input.ts";
import { applyEdit, postMessage, type Upload } from "../world/posting.ts";
import { presentMessage } from "../world/present.ts";
import type { ChannelRecord, CommandRecord, MessageRecord } from "../world/records.ts";
import { hidesThread, startThread, startThreadOnMessage } from "../world/threads.ts";
import type { World } from "../world/world.ts";

/** What a person writes. */
export type Utterance = {
  readonly content: string;
  /** id of the message that it replies to */
  readonly replyTo?: string | undefined;
  /** whether the reply pings its author; true when left out */
  readonly ping?: boolean | undefined;
  readonly uploads?: readonly Upload[] | undefined;
};

/** Minutes of silence after which a person's thread is archived. */
const THREAD_ARCHIVE_MINUTES = 1_440;

/** Acts of people, each checked as Discord checks its own client's. */
export class PersonActions {
  readonly #world: World;
  readonly #desk: InteractionDesk;
  readonly #baseUrl: () => string;

  constructor(world: World, desk: InteractionDesk, baseUrl: () => string) {
    this.#world = world;
    this.#desk = desk;
    this.#baseUrl = baseUrl;
  }

  /** Messages that the person sees, oldest first. @throws DiscordError */
  messages(
    personId: string,
    channelId: string,
    range: { before?: string | undefined; limit: number },
  ): APIMessage[] {
    const channel = this.#place(personId, channelId);
    this.#world.require(personId, channel, Bits.ReadMessageHistory);
    const found = this.#world.store.messages(channelId, personId, range);
    return found.reverse().map((message) => this.present(message, personId));
  }

  /** Writes a message. @throws DiscordError */
  say(personId: string, channelId: string, utterance: Utterance): APIMessage {
    this.#place(personId, channelId);
    const { content, replyTo, ping, uploads } = utterance;
    const input = parseMessage({
      content,
      ...(replyTo === undefined ? {} : { message_reference: { message_id: replyTo } }),
      allowed_mentions: { parse: ["users", "everyone"], replied_user: ping ?? true },
    });
    const message = postMessage(
      this.#world,
      { channelId, authorId: personId },
      input,
      uploads ?? [],
    );
    return this.present(message, personId);
  }

  /** Changes an own message. @throws DiscordError 50005 */
  edit(personId: string, messageId: string, content: string): APIMessage {
    const message = this.#message(personId, messageId);
    if (message.authorId !== personId) throw new DiscordError("notYourMessage");
    const edited = applyEdit(this.#world, message, parseMessage({ content }), []);
    return this.present(this.#world.changeMessage(edited, true), personId);
  }

  /** Deletes an own message, dismisses one that only this person sees, or moderates. @throws DiscordError */
  delete(personId: string, messageId: string): void {
    this.#world.deleteMessage(this.#message(personId, messageId), personId);
  }

  /** Places a reaction. @throws DiscordError */
  react(personId: string, messageId: string, emoji: string): void {
    this.#world.react(this.#message(personId, messageId), readEmoji(emoji), personId);
  }

  /** Withdraws an own reaction. @throws DiscordError */
  unreact(personId: string, messageId: string, emoji: string): void {
    this.#world.unreact(this.#message(personId, messageId), readEmoji(emoji), personId, personId);
  }

  /** Shows that the person types. @throws DiscordError */
  type(personId: string, channelId: string): void {
    this.#world.type(this.#place(personId, channelId).id, personId);
  }

  /** Starts a thread, on a message if one is named. @throws DiscordError */
  startThread(
    personId: string,
    channelId: string,
    name: string,
    messageId: string | undefined,
  ): ChannelRecord {
    const draft = { name, autoArchiveMinutes: THREAD_ARCHIVE_MINUTES };
    if (messageId === undefined) return startThread(this.#world, channelId, draft, personId);
    return startThreadOnMessage(this.#world, this.#message(personId, messageId), draft, personId);
  }

  /** Chooses the person's language. @throws DiscordError 50035 */
  setLocale(personId: string, locale: string): void {
    if (!isLocale(locale)) {
      throw fieldError(
        ["locale"],
        "BASE_TYPE_CHOICES",
        "This value must be one of Discord's locales",
      );
    }
    this.#world.setLocale(personId, locale);
  }

  /** Commands that the person may use there. @throws DiscordError */
  commands(personId: string, channelId: string): CommandRecord[] {
    this.#place(personId, channelId);
    return usableCommands(this.#world, personId, channelId);
  }

  /**
   * Uses a slash command.
   * @param name the command, followed by subcommands parted by spaces: "learning status"
   * @throws DiscordError 10063 or 50035
   */
  slash(
    personId: string,
    channelId: string,
    name: string,
    options: GivenOptions,
  ): Promise<InteractionOutcome> {
    return this.#sendSlash(personId, channelId, name, options, null);
  }

  /** Asks for an option's choices. @param focused the option being typed. @throws DiscordError */
  autocomplete(
    personId: string,
    channelId: string,
    name: string,
    options: GivenOptions,
    focused: string,
  ): Promise<InteractionOutcome> {
    return this.#sendSlash(personId, channelId, name, options, focused);
  }

  /** Uses a command of a message's menu. @throws DiscordError 10063 or 10008 */
  async messageCommand(
    personId: string,
    messageId: string,
    name: string,
  ): Promise<InteractionOutcome> {
    const message = this.#message(personId, messageId);
    const command = this.#command(personId, message.channelId, name, CommandType.Message);
    return this.#desk.send({
      type: InteractionType.ApplicationCommand,
      userId: personId,
      channelId: message.channelId,
      messageId: null,
      data: {
        id: command.id,
        name,
        type: CommandType.Message,
        target_id: messageId,
        ...(command.guildId === null ? {} : { guild_id: command.guildId }),
      },
      resolves: { messages: [messageId] },
      commandName: name,
      targetMessageId: messageId,
    });
  }

  /** Presses a button, or picks `values` of a select. @throws DiscordError 50035 when it cannot be used */
  async component(
    personId: string,
    messageId: string,
    customId: string,
    values: readonly string[] | undefined,
  ): Promise<InteractionOutcome> {
    const message = this.#message(personId, messageId);
    const { data, resolves } = readComponent(message.components, customId, values);
    return this.#desk.send({
      type: InteractionType.MessageComponent,
      userId: personId,
      channelId: message.channelId,
      messageId,
      data,
      resolves,
      commandName: null,
      targetMessageId: null,
    });
  }

  /** Sends the form that the person has open. @param values by custom id. @throws DiscordError */
  async submitModal(
    personId: string,
    values: Readonly<Record<string, string | readonly string[]>>,
  ): Promise<InteractionOutcome> {
    const modal = this.#desk.modalOf(personId);
    if (modal === undefined) throw new DiscordError("unknownInteraction");
    const { data, resolves } = readModalValues(modal, values);
    this.#desk.closeModal(personId);
    return this.#desk.send({
      type: InteractionType.ModalSubmit,
      userId: personId,
      channelId: modal.channelId,
      messageId: modal.messageId,
      data,
      resolves,
      commandName: null,
      targetMessageId: null,
    });
  }

  /** Closes the form without sending it. */
  dismissModal(personId: string): void {
    this.#desk.closeModal(personId);
  }

  /** The person's direct-message channel with the bot. @throws DiscordError */
  directChannel(personId: string): ChannelRecord {
    return this.#world.directChannel(personId);
  }

  /** A message as the person sees it. */
  present(message: MessageRecord, personId: string): APIMessage {
    return presentMessage(this.#world, message, personId, this.#baseUrl());
  }

  async #sendSlash(
    personId: string,
    channelId: string,
    name: string,
    options: GivenOptions,
    focused: string | null,
  ): Promise<InteractionOutcome> {
    this.#world.require(personId, this.#place(personId, channelId), Bits.UseApplicationCommands);
    const path = name.replace(/^\//, "").split(" ");
    const command = this.#command(personId, channelId, path[0] ?? "", CommandType.ChatInput);
    const { data, resolves, fullName } = commandData(this.#world, command, path, options, focused);
    return this.#desk.send({
      type:
        focused === null
          ? InteractionType.ApplicationCommand
          : InteractionType.ApplicationCommandAutocomplete,
      userId: personId,
      channelId,
      messageId: null,
      data,
      resolves,
      commandName: fullName,
      targetMessageId: null,
    });
  }

  #command(personId: string, channelId: string, name: string, type: CommandType): CommandRecord {
    const usable = usableCommands(this.#world, personId, channelId);
    const found = usable.find((each) => each.name === name && each.type === type);
    if (found === undefined) throw new DiscordError("unknownCommand");
    return found;
  }

  #place(personId: string, channelId: string): ChannelRecord {
    const channel = this.#world.channel(channelId);
    this.#world.require(personId, channel, 0n);
    if (hidesThread(channel, personId)) throw new DiscordError("missingAccess");
    return channel;
  }

  #message(personId: string, messageId: string): MessageRecord {
    const found = /^\d{1,19}$/.test(messageId) ? this.#world.store.message(messageId) : undefined;
    if (found === undefined) throw new DiscordError("unknownMessage");
    this.#place(personId, found.channelId);
    return this.#world.message(found.channelId, messageId, personId);
  }
}
