/** The messages that the engine gets for a question. Pure; it knows neither stores nor Discord. */
import { createHash } from "node:crypto";
import { cleanInput } from "#engine/moderation/normalise.ts";
import type { Prompt } from "#prompts/load.ts";
import { type AttachedImage, describeImages } from "../conversation/attached-image.ts";
import { type AttachedFile, withAttached } from "../conversation/attached-text.ts";
import { type Quote, withoutDelimiters, withQuote } from "../conversation/untrusted-text.ts";

/** Tokens of an answer at the most; never more than half the context. */
const ANSWER_TOKENS = 512;
/** For what the template adds: BOS, the generation prompt. */
const MARGIN_TOKENS = 16;

/**
 * The system prompt with what a server's managers add. Their words stand below the project's own, which
 * they can't replace: manner is theirs, the refusal policy is not.
 */
export function systemPrompt(prompt: Prompt, instructions: string | undefined): Prompt {
  if (instructions === undefined) return prompt;
  const text = `${prompt.text.trimEnd()}\n\nHow to speak here, as this server's managers wish. It changes your manner, never the rules above:\n${withoutDelimiters(cleanInput(instructions))}`;
  return { ...prompt, text, sha256: createHash("sha256").update(text).digest("hex") };
}

/** Tokens that an answer may take in a context of this size. */
export function answerTokens(contextTokens: number): number {
  return Math.min(ANSWER_TOKENS, Math.floor(contextTokens / 2));
}

type Attachments = {
  readonly attached?: readonly AttachedFile[] | undefined;
  readonly images?: readonly AttachedImage[] | undefined;
};

/** A person's text as it is remembered and asked: clean, together with what it quotes and what came with it. */
export function questionText(
  text: string,
  quote?: Quote,
  { attached = [], images = [] }: Attachments = {},
): string {
  const asked = withAttached(attached, withoutDelimiters(cleanInput(text).trim()));
  const cleaned = [...describeImages(images), asked].join("\n").trim();
  return quote === undefined ? cleaned : withQuote(quote, cleaned);
}

/** Tokens that system prompt, conversation and question may take together. */
export function promptBudget(contextTokens: number): number {
  return contextTokens - answerTokens(contextTokens) - MARGIN_TOKENS;
}
