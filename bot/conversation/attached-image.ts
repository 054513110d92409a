/** Which pictures are looked at, and how they stand in a question. Pure. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { PromptMessage } from "#engine/backends/prompt.ts";
import { cleanName } from "./untrusted-text.ts";

/** All pictures of one question, in bytes: they are held while the question waits for its turn. */
export const IMAGES_BYTES = 5 * 1024 * 1024;
/** What one takes of the context, about: 700 to 1,600 with the models of today. */
const TOKENS_AN_IMAGE = 1_024;

/** A picture that came with a question. */
export type AttachedImage = {
  readonly name: string;
  /** Of scheme `data:`. */
  readonly url: string;
};

/** The files of pictures that models read, by what they begin with, in hexadecimal. */
const BEGINNINGS: readonly (readonly [type: string, beginning: RegExp])[] = [
  ["image/png", /^89504e470d0a1a0a/],
  ["image/jpeg", /^ffd8ff/],
  ["image/gif", /^474946383[79]61/],
  ["image/webp", /^52494646.{8}57454250/],
];
const BEGINNING_BYTES = 12;

/** Whether an attachment says that it is a picture. */
export function isImage({ contentType }: { readonly contentType: string | null }): boolean {
  return /^image\//.test(contentType ?? "");
}

/** The bytes as a picture, whatever its name and type say; undefined for what models cannot read. */
export function toImage(name: string, bytes: Uint8Array): AttachedImage | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const beginning = file.subarray(0, BEGINNING_BYTES).toString("hex");
  const [type] = BEGINNINGS.find(([, known]) => known.test(beginning)) ?? [];
  if (type === undefined) return undefined;
  return { name, url: `data:${type};base64,${file.toString("base64")}` };
}

/** Where the pictures stood, for the text of a question: that is what is remembered of them. */
export function describeImages(images: readonly AttachedImage[]): readonly string[] {
  return images.map(({ name }) => `<attached name="${cleanName(name)}">\n(a picture)\n</attached>`);
}

/** The messages with the pictures in the last one, before its text. */
export function withImages(
  messages: readonly ChatMessage[],
  images: readonly AttachedImage[],
): readonly PromptMessage[] {
  const last = messages.at(-1);
  if (images.length === 0 || last?.role !== "user") return messages;
  const { content } = last;
  const pictures = images.map(({ url }) => ({ type: "image" as const, url }));
  return [
    ...messages.slice(0, -1),
    { role: "user", content, parts: [...pictures, { type: "text", text: content }] },
  ];
}

/** Tokens that pictures take, about. */
export function imageTokens(images: readonly AttachedImage[]): number {
  return images.length * TOKENS_AN_IMAGE;
}
