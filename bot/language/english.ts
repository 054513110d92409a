/**
 * Everything that the bot says, in English: the keys and placeholders of every other language are those
 * of this one, and its words stand wherever a language has none.
 */
import { ANSWER_MESSAGES } from "./english/answers.ts";
import { COMMAND_MESSAGES } from "./english/commands.ts";
import { FEEDBACK_MESSAGES } from "./english/feedback.ts";
import { MANAGING_MESSAGES } from "./english/managing.ts";
import { MANAGING_COMMAND_MESSAGES } from "./english/managing-commands.ts";
import { MODERATION_MESSAGES } from "./english/moderation.ts";
import { PRIVACY_MESSAGES } from "./english/privacy.ts";
import { WITHHELD_MESSAGES } from "./english/withheld.ts";
import type { Message } from "./message.ts";

/** Each message by its key. */
export const ENGLISH = {
  ...COMMAND_MESSAGES,
  ...MANAGING_COMMAND_MESSAGES,
  ...ANSWER_MESSAGES,
  ...WITHHELD_MESSAGES,
  ...FEEDBACK_MESSAGES,
  ...MANAGING_MESSAGES,
  ...MODERATION_MESSAGES,
  ...PRIVACY_MESSAGES,
} as const satisfies Readonly<Record<string, Message>>;

/** A message's key. */
export type MessageKey = keyof typeof ENGLISH;

type TextOf<M> = M extends string ? M : M[keyof M];
type PlaceholdersIn<T> = T extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PlaceholdersIn<Rest>
  : never;
type PlaceholdersOf<K extends MessageKey> = PlaceholdersIn<TextOf<(typeof ENGLISH)[K]>>;

/** What a message's placeholders are filled with; nothing where it has none. */
export type ValuesOf<K extends MessageKey> = [PlaceholdersOf<K>] extends [never]
  ? readonly []
  : readonly [
      values: {
        readonly [Name in PlaceholdersOf<K>]: Name extends "count"
          ? number
          : string | number | Date;
      },
    ];

/** Whether English, and so the bot, has a message of this key. */
export function isMessageKey(key: string): key is MessageKey {
  return Object.hasOwn(ENGLISH, key);
}
