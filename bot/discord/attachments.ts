/** Fetches what was attached, texts and pictures, from Discord's own hosts, within limits. */
import type { Attachment, Message } from "discord.js";
import {
  type AttachedImage,
  IMAGES_BYTES,
  isImage,
  toImage,
} from "../conversation/attached-image.ts";
import {
  ATTACHMENT_BYTES,
  ATTACHMENT_COUNT,
  type AttachedFile,
  attachmentProblem,
} from "../conversation/attached-text.ts";
import { cleanName } from "../conversation/untrusted-text.ts";
import type { Language } from "../language/language.ts";
import type { Room } from "./room.ts";

const HOSTS: ReadonlySet<string> = new Set(["cdn.discordapp.com", "media.discordapp.net"]);
const TIMEOUT_MS = 10_000;

type Unread = { readonly kind: "unread"; readonly reason: string };

/** A file's text, or why there is none. */
type ReadFile = { readonly kind: "read"; readonly name: string; readonly text: string } | Unread;

/** A message's texts and pictures. */
export type ReadFiles = {
  readonly attached: readonly AttachedFile[];
  readonly images: readonly AttachedImage[];
};

/** Reads one attachment as text. Never rejects. */
export async function readAttachment(
  room: Room,
  language: Language,
  attachment: Attachment,
): Promise<ReadFile> {
  const { name, size, contentType } = attachment;
  const problem = attachmentProblem(language, { name, size, contentType });
  if (problem !== undefined) return unread(problem);
  try {
    const bytes = await fetchBytes(room, attachment, ATTACHMENT_BYTES);
    return { kind: "read", name, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    room.log.warn({ err: error }, "an attachment could not be read");
    return unread(language.say("file.not_utf8", { name: cleanName(name) }));
  }
}

/** Reads all of a message's attachments; the first that cannot be read is told. */
export async function readAttachments(
  room: Room,
  language: Language,
  attachments: readonly Attachment[],
): Promise<ReadFiles | string> {
  if (attachments.length > ATTACHMENT_COUNT) {
    return language.say("file.too_many", { most: ATTACHMENT_COUNT });
  }
  const pictures = attachments.filter(isImage);
  const problem = await pictureProblem(room, language, pictures);
  if (problem !== undefined) return problem;
  const texts = attachments.filter((each) => !isImage(each));
  const [read, seen] = await Promise.all([
    Promise.all(texts.map((each) => readAttachment(room, language, each))),
    Promise.all(pictures.map((each) => readImage(room, language, each))),
  ]);
  const missing = [...read, ...seen].find((each): each is Unread => each.kind === "unread");
  if (missing !== undefined) return missing.reason;
  return {
    attached: read.flatMap((each) => (each.kind === "read" ? [each] : [])),
    images: seen.flatMap((each) => (each.kind === "seen" ? [each.image] : [])),
  };
}

/** The pictures of a message that another one is about; none where the model would not see them. */
export async function picturesIn(room: Room, message: Message): Promise<readonly Attachment[]> {
  const pictures = [...message.attachments.values()].filter(isImage);
  if (pictures.length === 0) return [];
  return (await room.seesImages().catch(() => false)) ? pictures : [];
}

async function pictureProblem(
  room: Room,
  language: Language,
  pictures: readonly Attachment[],
): Promise<string | undefined> {
  const [first] = pictures;
  if (first === undefined) return undefined;
  try {
    if (!(await room.seesImages())) {
      return language.say("file.image", { name: cleanName(first.name) });
    }
  } catch (error) {
    room.log.warn({ err: error }, "the engine did not say whether it sees");
    return language.say("file.engine_away");
  }
  const bytes = pictures.reduce((sum, { size }) => sum + size, 0);
  const mib = IMAGES_BYTES / 1024 / 1024;
  return bytes > IMAGES_BYTES ? language.say("file.pictures_too_large", { mib }) : undefined;
}

async function readImage(
  room: Room,
  language: Language,
  attachment: Attachment,
): Promise<{ readonly kind: "seen"; readonly image: AttachedImage } | Unread> {
  const { name, size } = attachment;
  try {
    const image = toImage(name, await fetchBytes(room, attachment, size));
    if (image !== undefined) return { kind: "seen", image };
  } catch (error) {
    room.log.warn({ err: error }, "a picture could not be fetched");
  }
  return unread(language.say("file.not_picture", { name: cleanName(name) }));
}

function unread(reason: string): Unread {
  return { kind: "unread", reason };
}

async function fetchBytes(room: Room, { url }: Attachment, mostBytes: number): Promise<Uint8Array> {
  if (!isDiscords(url, room.client.options.rest?.api)) throw new Error("a foreign address");
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { signal, redirect: "error" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const bytes = await response.bytes();
  if (bytes.byteLength > mostBytes) throw new Error("larger than was said");
  return bytes;
}

/** Discord's hosts; or, in the playground, the one that serves its API. */
function isDiscords(url: string, api: string | undefined): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, host } = new URL(url);
  if (protocol === "https:" && HOSTS.has(hostname)) return true;
  const isLocalApi = api !== undefined && new URL(api).hostname === "127.0.0.1";
  return isLocalApi && host.startsWith("127.0.0.1:");
}
