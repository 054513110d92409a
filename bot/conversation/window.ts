/**
 * Which turns of a conversation go into a prompt. Pure: it knows neither stores nor tokenizers.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { isSummary } from "./summary.ts";
import { cleanName, withSpeaker } from "./untrusted-text.ts";

/** One turn as it is remembered. */
export type Turn = {
  readonly role: "user" | "assistant";
  readonly content: string;
  /** The Discord messages that show it: none for a slash command's question. */
  readonly messageIds: readonly string[];
  /** The record in the feedback log whose question or answer it is. */
  readonly exchangeId: string;
  /** Who asked; on the assistant's turns whom it answers. */
  readonly speakerKey: string;
  readonly speakerName: string;
  /** Everybody whose words it holds, where that is not the speaker alone: quoted, continued or summed up. */
  readonly speakerKeys?: readonly string[] | undefined;
};

/** UTF-8 bytes in a token at the least, on average, for the vocabularies that we serve. */
const BYTES_A_TOKEN = 3;
/** The role's tag and the end token around each message. */
const TOKENS_AROUND_A_MESSAGE = 10;

/** Tokens of a message, rather too many than too few. */
export function estimateTokens(content: string): number {
  return Math.ceil(Buffer.byteLength(content) / BYTES_A_TOKEN) + TOKENS_AROUND_A_MESSAGE;
}

/**
 * The newest turns that fit, oldest first, beginning with a question.
 * @param budgetTokens what the prompt may take without system prompt and new question; may be negative
 */
export function fitWindow(
  turns: readonly Turn[],
  budgetTokens: number,
  tokensOf: (turn: Turn) => number = ({ content }) => estimateTokens(content),
): readonly Turn[] {
  let left = budgetTokens;
  let start = turns.length;
  for (const [index, turn] of [...turns.entries()].reverse()) {
    left -= tokensOf(turn);
    if (left < 0) break;
    start = index;
  }
  const window = turns.slice(start);
  const firstQuestion = window.findIndex((turn) => turn.role === "user");
  return firstQuestion === -1 ? [] : window.slice(firstQuestion);
}

/**
 * The turns as chat messages. Where several people speak, each question carries its speaker's name
 * as delimited data; one person alone is not named, since a name would tell the model nothing.
 */
export function toChatMessages(turns: readonly Turn[]): readonly ChatMessage[] {
  const isShared = new Set(turns.map((turn) => turn.speakerKey)).size > 1;
  return turns.map(({ role, content, speakerName, exchangeId }) => {
    const isSaid = isShared && role === "user" && !isSummary(exchangeId);
    return { role, content: isSaid ? withSpeaker(cleanName(speakerName), content) : content };
  });
}
