/**
 * Everything that the bot says in its own name while answering: short, honest, and what to do next.
 * Pure text; it knows neither Discord nor the engine.
 */
import { type ErrorCode, isCoded } from "#engine/base/errors.ts";
import type { MessageKey } from "../language/english.ts";
import type { Language } from "../language/language.ts";
import type { TextFile } from "./draft.ts";
import type { Refusal } from "./request-limits.ts";
import { partContent, splitAnswer } from "./split.ts";

/** Discord's limit on a message: https://discord.com/developers/docs/resources/message */
const MESSAGE_CHARACTERS = 2_000;
const NAME_CHARACTERS = 64;
/** Messages that one answer may take; an engine that goes on and on is cut. */
const MESSAGES_AN_ANSWER = 6;

/** Begins small grey text: https://support.discord.com/hc/articles/210298617 */
export const SMALL = "-# ";
/** What the model is asked when a person presses Continue. */
export const CONTINUE_PROMPT = "Please go on exactly where you stopped.";

/** The messages that show an answer, each within Discord's limit. @returns at least one */
export function answerContents(
  language: Language,
  text: string,
  around: { readonly heading?: string | undefined; readonly footer?: string } = {},
): readonly string[] {
  const { heading, footer } = around;
  const below = footer === undefined ? "" : `\n${SMALL}${footer}`;
  const answer = text.trim() === "" ? language.say("answer.nothing") : text.trim();
  const shown = heading === undefined ? answer : `${heading}\n${answer}`;
  const whole = splitContents(shown, MESSAGE_CHARACTERS, below.length);
  const contents =
    whole.length <= MESSAGES_AN_ANSWER
      ? whole
      : splitContents(shown, MESSAGE_CHARACTERS - below.length, 0).slice(0, MESSAGES_AN_ANSWER);
  return contents.with(-1, `${contents.at(-1)}${below}`);
}

/** The whole answer as a file, where it takes more messages than one answer may. */
export function answerFile(text: string): TextFile | undefined {
  const messages = splitContents(text.trim(), MESSAGE_CHARACTERS, 0).length;
  return messages > MESSAGES_AN_ANSWER ? { name: "answer.md", text } : undefined;
}

/** Without blank parts: Discord takes no empty message. */
function splitContents(text: string, limit: number, reserve: number): readonly string[] {
  return splitAnswer(text, limit, reserve)
    .map(partContent)
    .filter((content) => content.trim() !== "");
}

/** Which model and adapter answered. */
export function answerFooter(language: Language, modelId: string, adapter: string | null): string {
  const model = modelId.slice(0, NAME_CHARACTERS);
  const drawnBy =
    adapter === null
      ? language.say("answer.base")
      : language.say("answer.adapter", { name: adapter.slice(0, NAME_CHARACTERS) });
  return `${model} · ${drawnBy}`;
}

/**
 * How many questions go first, and about how long they take.
 * @param position 0: next
 * @param waitMs undefined where nothing is known of it yet
 */
export function queueNotice(language: Language, position: number, waitMs?: number): string {
  const seconds = waitMs === undefined ? undefined : Math.max(1, Math.round(waitMs / 1_000));
  return `${SMALL}${queueText(language, position, seconds)}`;
}

function queueText(language: Language, count: number, seconds: number | undefined): string {
  if (count === 0) {
    return seconds === undefined
      ? language.say("queue.next")
      : language.say("queue.next_about", { seconds });
  }
  return seconds === undefined
    ? language.say("queue.behind", { count })
    : language.say("queue.behind_about", { count, seconds });
}

/** Why a question was not taken. */
export function refusalNotice(language: Language, refusal: Refusal): string {
  switch (refusal.reason) {
    case "person_rate":
      return language.say("refused.person_rate", { seconds: refusal.retryAfterSeconds });
    case "guild_queue_full":
      return language.say("refused.guild_queue_full");
    case "closing":
      return language.say("refused.closing");
  }
}

/** Why an answer failed. */
export function failureNotice(language: Language, error: unknown): string {
  const key = isCoded(error) ? FAILURES[error.code] : undefined;
  return language.say(key ?? "failed.general");
}

const FAILURES: Partial<Record<ErrorCode, Extract<MessageKey, `failed.${string}`>>> = {
  engine_unreachable: "failed.engine_unreachable",
  model_unknown: "failed.model_unknown",
  prompt_too_long: "failed.prompt_too_long",
  queue_full: "failed.queue_full",
  out_of_memory: "failed.out_of_memory",
};
