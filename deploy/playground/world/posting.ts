/** From a checked message body to a stored message: mentions, replies, attachments, edits. */

import type { APIAttachment, APIEmbed, APIMessageTopLevelComponent } from "discord-api-types/v10";
import {
  PermissionFlagsBits as Bits,
  ComponentType,
  MessageFlags,
  MessageType,
} from "discord-api-types/v10";
import { DiscordError, fieldError } from "./discord-error.ts";
import { type MessageInput, walk } from "./message-input.ts";
import type { MessageRecord } from "./records.ts";
import type { MessageDraft, World } from "./world.ts";

/** A file that came with a message, keyed by the number in its part's name (`files[0]`). */
export type Upload = {
  readonly index: string;
  readonly name: string;
  readonly contentType: string;
  readonly bytes: Uint8Array;
};

/** The largest upload, in bytes. */
export const UPLOAD_LIMIT_BYTES = 10 * 1024 * 1024;

const SELECT_DEFAULTS = { min_values: 1, max_values: 1 };
/** What Discord fills in where a sender left it out, by the component's type. */
const COMPONENT_DEFAULTS: Readonly<Record<number, Readonly<Record<string, unknown>>>> = {
  [ComponentType.StringSelect]: SELECT_DEFAULTS,
  [ComponentType.UserSelect]: SELECT_DEFAULTS,
  [ComponentType.RoleSelect]: SELECT_DEFAULTS,
  [ComponentType.MentionableSelect]: SELECT_DEFAULTS,
  [ComponentType.ChannelSelect]: SELECT_DEFAULTS,
  [ComponentType.Separator]: { divider: true, spacing: 1 },
  [ComponentType.Container]: { accent_color: null, spoiler: false },
};

/** Flags that a sender may set. */
const SENDER_FLAGS =
  MessageFlags.SuppressEmbeds | MessageFlags.SuppressNotifications | MessageFlags.IsComponentsV2;

/**
 * Posts as `authorId`.
 * @throws DiscordError when it is empty, not allowed, or replies to nothing
 */
export function postMessage(
  world: World,
  place: { readonly channelId: string; readonly authorId: string },
  input: MessageInput,
  uploads: readonly Upload[] = [],
): MessageRecord {
  const channel = world.channel(place.channelId);
  world.requireWriting(place.authorId, channel);
  const replyTo = findReplied(world, place, input);
  const draft = draftMessage(world, place, input, uploads);
  if (replyTo === undefined) return world.addMessage(draft);
  const pings = repliedUserPinged(input) && replyTo.authorId !== place.authorId;
  return world.addMessage({
    ...draft,
    type: MessageType.Reply,
    reference: { messageId: replyTo.id, channelId: replyTo.channelId },
    mentionIds: pings
      ? unique([...(draft.mentionIds ?? []), replyTo.authorId])
      : (draft.mentionIds ?? []),
  });
}

/** A draft of a message: everything but what it replies to. @throws DiscordError 50006 */
export function draftMessage(
  world: World,
  place: { readonly channelId: string; readonly authorId: string },
  input: MessageInput,
  uploads: readonly Upload[],
): MessageDraft {
  const draft: MessageDraft = {
    ...place,
    content: (input.content ?? "").trim(),
    embeds: toEmbeds(input.embeds),
    components: toComponents(input.components),
    attachments: uploads.map((upload) => storeUpload(world, upload, input)),
    flags: (input.flags ?? 0) & SENDER_FLAGS,
    nonce: input.nonce ?? null,
    ...mentionsOf(world, place, input),
  };
  requireContent(draft);
  return draft;
}

/** Applies an edit's fields to a message; what is left out stays. @throws DiscordError 50006 */
export function applyEdit(
  world: World,
  message: MessageRecord,
  input: MessageInput,
  uploads: readonly Upload[],
): MessageRecord {
  const added = uploads.map((upload) => storeUpload(world, upload, input));
  const kept = new Set(input.attachments?.map((each) => each.id));
  const content = input.content === undefined ? message.content : (input.content ?? "").trim();
  const edited: MessageRecord = {
    ...message,
    content,
    embeds: input.embeds === undefined ? message.embeds : toEmbeds(input.embeds),
    components:
      input.components === undefined ? message.components : toComponents(input.components),
    attachments: [
      ...message.attachments.filter((each) => input.attachments == null || kept.has(each.id)),
      ...added,
    ],
    flags: editedFlags(message.flags, input.flags),
    ...(input.content === undefined ? {} : mentionsOf(world, message, { ...input, content })),
  };
  requireContent(edited);
  return edited;
}

function editedFlags(current: number, given: number | null | undefined): number {
  if (given === undefined || given === null) return current;
  const changeable = MessageFlags.SuppressEmbeds | MessageFlags.IsComponentsV2;
  // The Components-V2 flag can be set by an edit, and never taken back.
  const layout = current & MessageFlags.IsComponentsV2;
  return (current & ~changeable) | (given & changeable) | layout;
}

function requireContent(message: MessageDraft): void {
  const parts = [message.content, message.embeds, message.components, message.attachments];
  if (parts.every((part) => part === undefined || part.length === 0))
    throw new DiscordError("emptyMessage");
}

function findReplied(
  world: World,
  place: { readonly channelId: string; readonly authorId: string },
  input: MessageInput,
): MessageRecord | undefined {
  const id = input.message_reference?.message_id;
  if (id === undefined || id === null) return undefined;
  const found = /^\d{1,19}$/.test(id) ? world.store.message(id) : undefined;
  if (found !== undefined && found.channelId === place.channelId && found.visibleTo === null)
    return found;
  if (input.message_reference?.fail_if_not_exists === false) return undefined;
  throw fieldError(["message_reference"], "REPLIES_UNKNOWN_MESSAGE", "Unknown message");
}

/** A reply pings unless `allowed_mentions` is given without `replied_user: true`. */
function repliedUserPinged(input: MessageInput): boolean {
  const allowed = input.allowed_mentions;
  return allowed === undefined || allowed === null || allowed.replied_user === true;
}

function mentionsOf(
  world: World,
  place: { readonly channelId: string; readonly authorId: string },
  input: MessageInput,
): Pick<MessageRecord, "mentionIds" | "mentionEveryone"> {
  const content = input.content ?? "";
  const allowed = input.allowed_mentions;
  const parsesUsers = allowed == null || allowed.parse?.includes("users") === true;
  const named = [...content.matchAll(/<@!?(\d{1,19})>/g)].map((match) => match[1] ?? "");
  const mentionIds = unique(named).filter(
    (id) =>
      (parsesUsers || allowed?.users?.includes(id) === true) && world.store.user(id) !== undefined,
  );
  const parsesEveryone = allowed == null || allowed.parse?.includes("everyone") === true;
  const mayMention =
    (world.permissions(place.authorId, world.channel(place.channelId)) & Bits.MentionEveryone) !==
    0n;
  const mentionEveryone = parsesEveryone && mayMention && /@(everyone|here)\b/.test(content);
  return { mentionIds, mentionEveryone };
}

/** Keeps a file. @throws DiscordError 40005 when it is too large */
export function storeUpload(world: World, upload: Upload, input: MessageInput): APIAttachment {
  if (upload.bytes.length > UPLOAD_LIMIT_BYTES) throw new DiscordError("tooLarge");
  const meta = input.attachments?.find((each) => each.id === upload.index);
  const name =
    (meta?.filename ?? upload.name).replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(-100) || "file";
  const id = world.ids.next();
  world.store.saveFile(id, { name, contentType: upload.contentType, bytes: upload.bytes });
  // The address is completed with the server's own when the message is presented.
  const path = `/attachments/${id}/${name}`;
  return {
    id,
    filename: name,
    size: upload.bytes.length,
    url: path,
    proxy_url: path,
    content_type: upload.contentType,
    ...(meta?.description == null ? {} : { description: meta.description }),
  };
}

/** The checked body has the same fields; what it left undefined or null is dropped. */
function toEmbeds(embeds: MessageInput["embeds"]): APIEmbed[] {
  return (embeds ?? []).map((each) => {
    const fields = each.fields?.map((field) => ({ inline: false, ...field }));
    return { ...JSON.parse(withoutNulls({ ...each, fields })), type: "rich" };
  });
}

/** Components as they were sent, with the ids and defaults that Discord adds. */
function toComponents(components: MessageInput["components"]): APIMessageTopLevelComponent[] {
  const made: APIMessageTopLevelComponent[] = (components ?? []).map((each) =>
    JSON.parse(withoutNulls(each)),
  );
  const taken = new Set([...walk(made)].map((each) => each["id"]));
  let next = 1;
  for (const each of walk(made)) {
    for (const [name, value] of Object.entries(COMPONENT_DEFAULTS[Number(each["type"])] ?? {})) {
      each[name] ??= value;
    }
    if (typeof each["id"] === "number" && each["id"] > 0) continue;
    while (taken.has(next)) next += 1;
    each["id"] = next;
    taken.add(next);
  }
  return made;
}

function withoutNulls(value: unknown): string {
  return JSON.stringify(value, (_, each) => (each === null ? undefined : each));
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
