/**
 * Interactions between people and the application: sent, answered within 3 s, followed up for 15 min.
 * https://discord.com/developers/docs/interactions/receiving-and-responding
 */
import { randomBytes } from "node:crypto";
import {
  type APIApplicationCommandOptionChoice,
  type APIMessage,
  InteractionType,
  MessageFlags,
  MessageType,
  InteractionResponseType as Response,
} from "discord-api-types/v10";
import { z } from "zod";
import { modalInput } from "../world/component-input.ts";
import { DiscordError, fieldError } from "../world/discord-error.ts";
import type { OpenModal, PendingInteraction } from "../world/events.ts";
import { isRecord, type MessageInput, parseBody, parseMessage } from "../world/message-input.ts";
import { applyEdit, draftMessage, type Upload } from "../world/posting.ts";
import { presentMessage } from "../world/present.ts";
import type { InteractionNote, MessageRecord } from "../world/records.ts";
import { BOT_ID } from "../world/seed.ts";
import type { World } from "../world/world.ts";

/** Time for the first response. */
const FIRST_RESPONSE_MS = 3_000;
/** Life of an interaction's token. */
const TOKEN_LIFE_MS = 15 * 60_000;

/** What came of an interaction at its first response. */
export type InteractionOutcome =
  | { readonly kind: "message"; readonly message: APIMessage }
  | { readonly kind: "updated"; readonly message: APIMessage }
  | { readonly kind: "acknowledged" }
  | { readonly kind: "modal"; readonly modal: OpenModal }
  | { readonly kind: "choices"; readonly choices: readonly APIApplicationCommandOptionChoice[] }
  /** nothing within three seconds; Discord's words are "The application did not respond" */
  | { readonly kind: "failed" };

/** An interaction about to be sent. */
export type InteractionDraft = Omit<PendingInteraction, "id" | "token"> &
  Pick<InteractionNote, "commandName" | "targetMessageId">;

type Entry = {
  readonly interaction: PendingInteraction;
  readonly note: InteractionNote;
  readonly sentAtMs: number;
  state: "waiting" | "answered" | "failed";
  originalId: string | null;
  settle: (outcome: InteractionOutcome) => void;
};

const choices = z.object({
  choices: z
    .array(
      z.object({
        name: z.string().min(1).max(100),
        value: z.union([z.string().max(100), z.number()]),
      }),
    )
    .max(25),
});

/** Responses that each type of interaction may have first. */
const ALLOWED: Readonly<Record<number, readonly number[]>> = {
  [InteractionType.ApplicationCommand]: [4, 5, 9],
  [InteractionType.MessageComponent]: [4, 5, 6, 7, 9],
  [InteractionType.ApplicationCommandAutocomplete]: [8],
  [InteractionType.ModalSubmit]: [4, 5, 6, 7],
};

/** All interactions whose tokens still live. */
export class InteractionDesk {
  readonly #world: World;
  readonly #baseUrl: () => string;
  readonly #entries = new Map<string, Entry>();
  readonly #modals = new Map<string, OpenModal>();

  constructor(world: World, baseUrl: () => string) {
    this.#world = world;
    this.#baseUrl = baseUrl;
  }

  /** Sends an interaction to the application; resolves at its first response, or as failed after 3 s. */
  send(draft: InteractionDraft): Promise<InteractionOutcome> {
    const { commandName, targetMessageId, ...rest } = draft;
    const id = this.#world.ids.next();
    const token = Buffer.from(
      `interaction:${id}:${randomBytes(48).toString("base64url")}`,
    ).toString("base64url");
    const interaction = { ...rest, id, token };
    const note = {
      id,
      type: draft.type,
      userId: draft.userId,
      commandName,
      targetMessageId,
      originalResponseId: null,
    };
    const sentAtMs = this.#world.clock.monotonicMs();
    return new Promise((settle) => {
      this.#entries.set(token, {
        interaction,
        note,
        sentAtMs,
        state: "waiting",
        originalId: null,
        settle,
      });
      this.#world.bus.emit({ type: "interactionSent", interaction });
    });
  }

  /** The form that a person has open, if any. */
  modalOf(userId: string): OpenModal | undefined {
    return this.#modals.get(userId);
  }

  /** The person closed the form, or sent it. */
  closeModal(userId: string): void {
    this.#modals.delete(userId);
  }

  /** The application's first response. @throws DiscordError 10062, 40060, 50035 */
  respond(
    id: string,
    token: string,
    given: unknown,
    uploads: readonly Upload[],
  ): { type: number; message: MessageRecord | null } {
    const entry = this.#entries.get(token);
    if (entry === undefined || entry.interaction.id !== id || entry.state === "failed") {
      throw new DiscordError("unknownInteraction");
    }
    if (entry.state === "answered") throw new DiscordError("alreadyAcknowledged");
    const { type, data } = parseBody(
      z.object({ type: z.int(), data: z.unknown().optional() }),
      given,
    );
    const isUpdate = type === Response.DeferredMessageUpdate || type === Response.UpdateMessage;
    const lacksMessage = isUpdate && entry.interaction.messageId === null;
    if (ALLOWED[entry.interaction.type]?.includes(type) !== true || lacksMessage) {
      throw fieldError(
        ["type"],
        "BASE_TYPE_CHOICES",
        "This response is not possible for this kind of interaction.",
      );
    }
    const outcome = this.#apply(entry, type, data ?? {}, uploads);
    entry.state = "answered";
    entry.settle(outcome.outcome);
    this.#world.bus.emit({
      type: "interactionSettled",
      interaction: entry.interaction,
      outcome: "answered",
    });
    return { type, message: outcome.message };
  }

  /** A further message; the first one after a deferred response fills that one. @throws DiscordError */
  followUp(token: string, given: unknown, uploads: readonly Upload[]): MessageRecord {
    const entry = this.#live(token);
    const original = this.#find(entry, "@original");
    if (original !== undefined && (original.flags & MessageFlags.Loading) !== 0) {
      return this.#edit(original, parseMessage(given), uploads);
    }
    const reference =
      original === undefined ? null : { messageId: original.id, channelId: original.channelId };
    return this.#post(entry, parseMessage(given), uploads, {
      type: reference === null ? MessageType.Default : MessageType.Reply,
      reference,
      interaction: { ...entry.note, originalResponseId: entry.originalId },
    });
  }

  /** @param messageId an id or `@original`. @throws DiscordError 10008 or 50027 */
  get(token: string, messageId: string): MessageRecord {
    const found = this.#find(this.#live(token), messageId);
    if (found === undefined) throw new DiscordError("unknownMessage");
    return found;
  }

  /** Edits a response; fills it if it was deferred. @throws DiscordError */
  edit(
    token: string,
    messageId: string,
    given: unknown,
    uploads: readonly Upload[],
  ): MessageRecord {
    return this.#edit(this.get(token, messageId), parseMessage(given), uploads);
  }

  /** Deletes a response. @throws DiscordError */
  delete(token: string, messageId: string): void {
    this.#world.deleteMessage(this.get(token, messageId), BOT_ID);
  }

  /** Fails what got no response within three seconds; forgets what is older than its token. */
  tick(): void {
    const now = this.#world.clock.monotonicMs();
    for (const [token, entry] of this.#entries) {
      if (entry.state === "waiting" && now - entry.sentAtMs >= FIRST_RESPONSE_MS) this.#fail(entry);
      if (now - entry.sentAtMs >= TOKEN_LIFE_MS) this.#entries.delete(token);
    }
  }

  /** Fails everything that still waits. */
  close(): void {
    for (const entry of this.#entries.values()) if (entry.state === "waiting") this.#fail(entry);
    this.#entries.clear();
  }

  #fail(entry: Entry): void {
    entry.state = "failed";
    entry.settle({ kind: "failed" });
    this.#world.bus.emit({
      type: "interactionSettled",
      interaction: entry.interaction,
      outcome: "failed",
    });
  }

  #apply(
    entry: Entry,
    type: number,
    data: unknown,
    uploads: readonly Upload[],
  ): { outcome: InteractionOutcome; message: MessageRecord | null } {
    switch (type) {
      case Response.ChannelMessageWithSource:
        return this.#answered(
          entry,
          this.#post(entry, parseMessage(data), uploads, { interaction: entry.note }),
        );
      case Response.DeferredChannelMessageWithSource:
        return this.#answered(entry, this.#defer(entry, data));
      case Response.DeferredMessageUpdate:
        entry.originalId = entry.interaction.messageId;
        return { outcome: { kind: "acknowledged" }, message: null };
      case Response.UpdateMessage:
        return this.#update(entry, data, uploads);
      case Response.ApplicationCommandAutocompleteResult:
        return {
          outcome: { kind: "choices", choices: parseBody(choices, data).choices },
          message: null,
        };
      default:
        return { outcome: { kind: "modal", modal: this.#openModal(entry, data) }, message: null };
    }
  }

  #answered(
    entry: Entry,
    message: MessageRecord,
  ): { outcome: InteractionOutcome; message: MessageRecord } {
    entry.originalId = message.id;
    return { outcome: { kind: "message", message: this.#present(message, entry) }, message };
  }

  #update(
    entry: Entry,
    data: unknown,
    uploads: readonly Upload[],
  ): { outcome: InteractionOutcome; message: MessageRecord } {
    const { messageId, channelId, userId } = entry.interaction;
    const current = this.#world.message(channelId, messageId ?? "", userId);
    const message = this.#edit(current, parseMessage(data), uploads);
    entry.originalId = message.id;
    return { outcome: { kind: "updated", message: this.#present(message, entry) }, message };
  }

  #defer(entry: Entry, data: unknown): MessageRecord {
    const { flags } = parseBody(z.object({ flags: z.int().nullish() }), data);
    const isEphemeral = ((flags ?? 0) & MessageFlags.Ephemeral) !== 0;
    return this.#world.addMessage({
      channelId: entry.interaction.channelId,
      authorId: BOT_ID,
      content: "",
      ...this.#origin(entry),
      flags: MessageFlags.Loading | (isEphemeral ? MessageFlags.Ephemeral : 0),
      visibleTo: isEphemeral ? entry.interaction.userId : null,
      interaction: entry.note,
    });
  }

  #post(
    entry: Entry,
    input: MessageInput,
    uploads: readonly Upload[],
    extra: Partial<MessageRecord>,
  ): MessageRecord {
    const place = { channelId: entry.interaction.channelId, authorId: BOT_ID };
    const draft = draftMessage(this.#world, place, input, uploads);
    const isEphemeral = ((input.flags ?? 0) & MessageFlags.Ephemeral) !== 0;
    return this.#world.addMessage({
      ...draft,
      ...this.#origin(entry),
      ...extra,
      flags: (draft.flags ?? 0) | (isEphemeral ? MessageFlags.Ephemeral : 0),
      visibleTo: isEphemeral ? entry.interaction.userId : null,
    });
  }

  /** The type of the response's message, and what it replies to. */
  #origin(entry: Entry): Pick<MessageRecord, "type" | "reference"> {
    const { type, messageId, channelId } = entry.interaction;
    if (type === InteractionType.ApplicationCommand) {
      const isMenu = entry.note.targetMessageId !== null;
      return {
        type: isMenu ? MessageType.ContextMenuCommand : MessageType.ChatInputCommand,
        reference: null,
      };
    }
    if (messageId === null) return { type: MessageType.Default, reference: null };
    return { type: MessageType.Reply, reference: { messageId, channelId } };
  }

  #edit(message: MessageRecord, input: MessageInput, uploads: readonly Upload[]): MessageRecord {
    const isFirst = (message.flags & MessageFlags.Loading) !== 0;
    const edited = applyEdit(this.#world, message, input, uploads);
    return this.#world.changeMessage(
      { ...edited, flags: edited.flags & ~MessageFlags.Loading },
      !isFirst,
    );
  }

  #openModal(entry: Entry, data: unknown): OpenModal {
    parseBody(modalInput, data);
    const { channelId, messageId, userId } = entry.interaction;
    // The check above leaves the shape as it was sent; it is read back with the types of the API.
    const modal: OpenModal = {
      ...JSON.parse(JSON.stringify(isRecord(data) ? data : {})),
      channelId,
      messageId,
    };
    this.#modals.set(userId, modal);
    this.#world.bus.emit({ type: "modalOpened", userId, modal });
    return modal;
  }

  #find(entry: Entry, messageId: string): MessageRecord | undefined {
    const id = messageId === "@original" ? entry.originalId : messageId;
    if (id === null || !/^\d{1,19}$/.test(id)) return undefined;
    const message = this.#world.store.message(id);
    const isOurs =
      message?.authorId === BOT_ID && message.channelId === entry.interaction.channelId;
    return isOurs ? message : undefined;
  }

  #live(token: string): Entry {
    const entry = this.#entries.get(token);
    const isOver =
      entry === undefined || this.#world.clock.monotonicMs() - entry.sentAtMs >= TOKEN_LIFE_MS;
    if (isOver) throw new DiscordError("invalidWebhookToken");
    // Before the first response there is no webhook to speak through yet.
    if (entry.state !== "answered") throw new DiscordError("unknownWebhook");
    return entry;
  }

  #present(message: MessageRecord, entry: Entry): APIMessage {
    return presentMessage(this.#world, message, entry.interaction.userId, this.#baseUrl());
  }
}
