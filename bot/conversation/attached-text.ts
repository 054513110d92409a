/** Which attachments are read, and how their text stands in a question. Pure. */
import { cleanInput } from "#engine/moderation/normalise.ts";
import type { Language } from "../language/language.ts";
import { isImage } from "./attached-image.ts";
import { cleanName, withoutDelimiters } from "./untrusted-text.ts";

/** The largest file that is read, in bytes; more than a context holds. */
export const ATTACHMENT_BYTES = 64 * 1024;
/** Files of one message that are read. */
export const ATTACHMENT_COUNT = 4;

const TEXT_NAMES =
  /\.(txt|md|markdown|csv|tsv|json|jsonl|ya?ml|toml|ini|log|xml|html?|css|[cm]?[jt]sx?|py|rb|rs|go|java|kt|c|h|cc|cpp|hpp|cs|sh|sql|lua|php|swift|diff|patch)$/i;

/** A text file that came with a question. */
export type AttachedFile = { readonly name: string; readonly text: string };

/** What is known of an attachment before it is read. */
type AttachmentFacts = {
  readonly name: string;
  readonly size: number;
  readonly contentType: string | null;
};

/** @returns why it cannot be read, in words for people; undefined where it can */
export function attachmentProblem(
  language: Language,
  { name, size, contentType }: AttachmentFacts,
): string | undefined {
  const called = { name: cleanName(name) };
  const type = contentType ?? "";
  if (isImage({ contentType })) return language.say("file.image", called);
  const isText =
    /^(text\/|application\/(json|xml|x-yaml|toml))/.test(type) || TEXT_NAMES.test(name);
  if (!isText) return language.say("file.not_text", called);
  if (size > ATTACHMENT_BYTES) {
    return language.say("file.too_large", { ...called, kib: ATTACHMENT_BYTES / 1024 });
  }
  return undefined;
}

/** A file's text as delimited data, above the question that is about it. */
export function withAttached(files: readonly AttachedFile[], question: string): string {
  const blocks = files.map(
    ({ name, text }) =>
      `<attached name="${cleanName(name)}">\n${withoutDelimiters(cleanInput(text)).trim()}\n</attached>`,
  );
  return [...blocks, question].join("\n").trim();
}
