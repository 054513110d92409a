/** Fetches text attachments from Discord's own hosts, within limits. */
import type { Attachment } from "discord.js";
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

/** A file's text, or why there is none. */
type ReadFile =
  | { readonly kind: "read"; readonly name: string; readonly text: string }
  | { readonly kind: "unread"; readonly reason: string };

/** Reads one attachment. Never rejects. */
export async function readAttachment(
  room: Room,
  language: Language,
  attachment: Attachment,
): Promise<ReadFile> {
  const { name, size, contentType, url } = attachment;
  const problem = attachmentProblem(language, { name, size, contentType });
  if (problem !== undefined) return { kind: "unread", reason: problem };
  try {
    if (!isDiscords(url, room.client.options.rest?.api)) throw new Error("a foreign address");
    const response = await fetch(url, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: "error",
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const bytes = await response.arrayBuffer();
    if (bytes.byteLength > ATTACHMENT_BYTES) throw new Error("larger than was said");
    return { kind: "read", name, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    room.log.warn({ err: error }, "an attachment could not be read");
    return { kind: "unread", reason: language.say("file.not_utf8", { name: cleanName(name) }) };
  }
}

/** Reads all of a message's attachments; the first that cannot be read is told. */
export async function readAttachments(
  room: Room,
  language: Language,
  attachments: readonly Attachment[],
): Promise<readonly AttachedFile[] | string> {
  if (attachments.length > ATTACHMENT_COUNT) {
    return language.say("file.too_many", { most: ATTACHMENT_COUNT });
  }
  const read = await Promise.all(attachments.map((each) => readAttachment(room, language, each)));
  const unread = read.find((each) => each.kind === "unread");
  if (unread?.kind === "unread") return unread.reason;
  return read.flatMap((each) => (each.kind === "read" ? [each] : []));
}

/** Discord's hosts; or, in the playground, the one that serves its API. */
function isDiscords(url: string, api: string | undefined): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, host } = new URL(url);
  if (protocol === "https:" && HOSTS.has(hostname)) return true;
  const isLocalApi = api !== undefined && new URL(api).hostname === "127.0.0.1";
  return isLocalApi && host.startsWith("127.0.0.1:");
}
