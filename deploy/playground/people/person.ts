/** A scripted person, for tests: acts as someone at the page would, without a browser. */
import type { APIMessage, Locale } from "discord-api-types/v10";
import type { GivenOptions } from "../interactions/commands.ts";
import type { InteractionOutcome } from "../interactions/desk.ts";
import type { FormValues } from "../interactions/forms.ts";
import type { PersonActions, Utterance } from "./actions.ts";

/**
 * One member of the guild. Refusals reject or throw with a `DiscordError` (its `code` is Discord's).
 * Interactions resolve at the application's first response; what follows (a deferred answer being
 * filled in, edits) is awaited with `playground.waitFor`.
 */
export class Person {
  readonly id: string;
  readonly username: string;
  readonly #actions: PersonActions;

  constructor(user: { readonly id: string; readonly username: string }, actions: PersonActions) {
    this.id = user.id;
    this.username = user.username;
    this.#actions = actions;
  }

  /** Chooses a language, as in Discord's own settings. */
  setLocale(locale: Locale): void {
    this.#actions.setLocale(this.id, locale);
  }

  /** Writes in a channel or thread; `replyTo` is a message id, and pings unless `ping` is false. */
  say(channelId: string, text: string, options: Omit<Utterance, "content"> = {}): APIMessage {
    return this.#actions.say(this.id, channelId, { content: text, ...options });
  }

  /** Changes an own message. */
  edit(messageId: string, text: string): APIMessage {
    return this.#actions.edit(this.id, messageId, text);
  }

  /** Deletes an own message, or dismisses one that only this person sees. */
  delete(messageId: string): void {
    this.#actions.delete(this.id, messageId);
  }

  /** Places a reaction: `person.react(message.id, "👍")`. */
  react(messageId: string, emoji: string): void {
    this.#actions.react(this.id, messageId, emoji);
  }

  /** Withdraws an own reaction. */
  unreact(messageId: string, emoji: string): void {
    this.#actions.unreact(this.id, messageId, emoji);
  }

  /** Shows the typing indicator. */
  type(channelId: string): void {
    this.#actions.type(this.id, channelId);
  }

  /** Starts a thread, on a message if one is named; gives the thread's id. */
  startThread(channelId: string, name: string, messageId?: string): string {
    return this.#actions.startThread(this.id, channelId, name, messageId).id;
  }

  /** Uses a slash command: `person.slash(channel, "rate", { score: 5 })`; "learning status" for a subcommand. */
  slash(
    channelId: string,
    command: string,
    options: GivenOptions = {},
  ): Promise<InteractionOutcome> {
    return this.#actions.slash(this.id, channelId, command, options);
  }

  /** Asks for the choices of the option `focused`, whose text so far is in `options`. */
  autocomplete(
    channelId: string,
    command: string,
    options: GivenOptions,
    focused: string,
  ): Promise<InteractionOutcome> {
    return this.#actions.autocomplete(this.id, channelId, command, options, focused);
  }

  /** Uses a command of a message's Apps menu, by its name. */
  messageCommand(name: string, messageId: string): Promise<InteractionOutcome> {
    return this.#actions.messageCommand(this.id, messageId, name);
  }

  /** Presses a button. */
  press(messageId: string, customId: string): Promise<InteractionOutcome> {
    return this.#actions.component(this.id, messageId, customId, undefined);
  }

  /** Picks values of a select. */
  select(
    messageId: string,
    customId: string,
    values: readonly string[],
  ): Promise<InteractionOutcome> {
    return this.#actions.component(this.id, messageId, customId, values);
  }

  /** Sends the form that is open, with a value for each field by its custom id. */
  submitModal(values: FormValues): Promise<InteractionOutcome> {
    return this.#actions.submitModal(this.id, values);
  }

  /** Opens the direct-message channel with the bot; gives its id. */
  directChannel(): string {
    return this.#actions.directChannel(this.id).id;
  }

  /** The last messages that this person sees, ephemeral ones included, oldest first. */
  messages(channelId: string, limit = 50): APIMessage[] {
    return this.#actions.messages(this.id, channelId, { limit });
  }

  /** Names of the commands that this person may use there, by type: 1 slash, 3 message menu. */
  commandNames(channelId: string, type: 1 | 2 | 3 = 1): string[] {
    const usable = this.#actions.commands(this.id, channelId);
    return usable.filter((command) => command.type === type).map((command) => command.name);
  }
}
