/**
 * Everything that the bot says in its own name while answering: short, honest, and what to do next.
 * Pure text; it knows neither Discord nor the engine.
 */
import { type ErrorCode, isCoded } from "#engine/base/errors.ts";
import type { TextFile } from "./draft.ts";
import type { Refusal } from "./request-limits.ts";
import { partContent, splitAnswer } from "./split.ts";

/** Discord's limit on a message: https://discord.com/developers/docs/resources/message */
const MESSAGE_CHARACTERS = 2_000;
const NAME_CHARACTERS = 64;
/** Messages that one answer may take; an engine that goes on and on is cut. */
const MESSAGES_AN_ANSWER = 6;

const NOTHING_SAID = "*(The model had nothing to say.)*";
/** Begins small grey text: https://support.discord.com/hc/articles/210298617 */
export const SMALL = "-# ";
/** What the model is asked when a person presses Continue. */
export const CONTINUE_PROMPT = "Please go on exactly where you stopped.";

/** The messages that show an answer, each within Discord's limit. @returns at least one */
export function answerContents(
  text: string,
  around: { readonly heading?: string | undefined; readonly footer?: string } = {},
): readonly string[] {
  const { heading, footer } = around;
  const below = footer === undefined ? "" : `\n${SMALL}${footer}`;
  const answer = text.trim() === "" ? NOTHING_SAID : text.trim();
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
export function answerFooter(modelId: string, adapter: string | null): string {
  const model = modelId.slice(0, NAME_CHARACTERS);
  return adapter === null
    ? `${model} · base weights`
    : `${model} · adapter ${adapter.slice(0, NAME_CHARACTERS)}`;
}

/**
 * How many questions go first, and about how long they take.
 * @param position 0: next
 * @param waitMs undefined where nothing is known of it yet
 */
export function queueNotice(position: number, waitMs?: number): string {
  const wait = waitMs === undefined ? "" : ` (about ${Math.max(1, Math.round(waitMs / 1_000))} s)`;
  if (position === 0) return `${SMALL}You are next in the queue${wait}.`;
  const others = position === 1 ? "1 question goes" : `${position} questions go`;
  return `${SMALL}In the queue: ${others} first${wait}.`;
}

/** Why a question was not taken. */
export function refusalNotice(refusal: Refusal): string {
  switch (refusal.reason) {
    case "person_rate":
      return `That is more questions than I may take from one person in a minute. Please try again in about ${refusal.retryAfterSeconds} s.`;
    case "guild_queue_full":
      return "Too many questions are waiting already. Please try again in a minute.";
    case "closing":
      return "I am being restarted. Please ask again in a minute.";
  }
}

/** Why an answer failed. */
export function failureNotice(error: unknown): string {
  if (!isCoded(error)) return GENERAL_FAILURE;
  return FAILURES[error.code] ?? GENERAL_FAILURE;
}

const GENERAL_FAILURE = "Something went wrong on my side, so there is no answer. Please try again.";

const FAILURES: Partial<Record<ErrorCode, string>> = {
  engine_unreachable:
    "My engine is not running right now, so I can't answer. Please try again in a minute.",
  model_unknown:
    "The adapter chosen here is not served any more. A manager can choose another in `/settings`.",
  prompt_too_long: "That is longer than my model can read. Please shorten it.",
  queue_full: "Too many questions are waiting already. Please try again in a minute.",
  out_of_memory: "My engine is out of memory right now. Please try again in a minute.",
};

/** Added to an answer that was not finished. */
export const NOTES = {
  brokeOff: "cut short: the engine stopped",
  restarting: "cut short: the bot is being restarted",
  stopped: "stopped",
  stoppedEarly: "Stopped before there was anything to say.",
  orphaned: "cut short: the bot was restarted meanwhile",
  whole: "the whole answer is in the file",
  tooLong: "cut short: the longest answer allowed",
  notSaved: "votes on this answer can't be saved: the data disk is full or damaged",
} as const;
