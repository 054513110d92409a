/**
 * Conversations to scored sequences, through the same encoder that serves: what is learnt is what the
 * model will see. It knows nothing of batches or losses.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { Vocabulary } from "#engine/llama/vocabulary.ts";
import type { Sequence } from "../model/trainable.ts";
import { longestThatFits } from "./batches.ts";
import type { EncodedItem } from "./example-store.ts";
import type { Dialogue, PreferencePair, RatedCompletion } from "./preference.ts";
import { concatTokens, type Example, scoredRange, scoredTokens } from "./sequence.ts";

/** The part of a vocabulary that encoding needs. */
export type ChatEncoder = Pick<Vocabulary, "encodeChat" | "eos">;

/** How long sequences may be, tokens. */
export type LengthLimits = {
  /** Prompt and completion together; at most what the model's batch takes. */
  readonly maxTokens: number;
  /** What is left to the prompt where both do not fit; below `maxTokens`. */
  readonly maxPromptTokens: number;
};

/**
 * Limits under which `sequences` sequences always fit one batch; the prompt keeps its share of the length.
 * @throws RangeError when the batch is too small to hold anything
 */
export function fittingLimits(
  { maxTokens, maxPromptTokens }: LengthLimits,
  maxTokensPerBatch: number,
  sequences: number,
): LengthLimits {
  const fitting = Math.min(maxTokens, longestThatFits(sequences, maxTokensPerBatch));
  const share = Math.min(maxPromptTokens / maxTokens, 1 - 1 / fitting);
  return { maxTokens: fitting, maxPromptTokens: Math.floor(fitting * share) };
}

/** Encoded data with what became of it. */
export type EncodedExamples = {
  readonly examples: readonly Example[];
  /** Ids of what was shortened to fit. */
  readonly truncated: readonly string[];
  /** Ids of what held nothing to learn (no assistant's turn, or equal answers). */
  readonly dropped: readonly string[];
};

/**
 * Dialogues to sequences: every assistant turn is scored with the `</s>` that ends it.
 * Too long ones lose their oldest exchanges first, never the system turn; the last one is then cut as
 * `encodePairs` cuts.
 */
export function encodeDialogues(
  encoder: ChatEncoder,
  dialogues: readonly Dialogue[],
  limits: LengthLimits,
): EncodedExamples {
  return collect(dialogues, ({ messages }) => {
    const turns = messages.slice(0, messages.findLastIndex(isAssistant) + 1);
    const answer = turns.at(-1);
    if (answer === undefined) return NOTHING;
    for (let kept: Turns | undefined = turns; kept !== undefined; kept = withoutOldest(kept)) {
      const sequence = dialogueSequence(encoder, kept);
      if (sequence.tokens.length > limits.maxTokens) continue;
      return { sequences: [sequence], truncated: kept.length < turns.length };
    }
    return {
      ...fitAnswers(encoder, turns.slice(0, -1), [answer.content], limits),
      truncated: true,
    };
  });
}

/**
 * Pairs to two sequences (chosen, rejected) with the same prompt tokens in front; the completions are scored.
 * Where a pair is too long, the prompt gives way down to `maxPromptTokens`: its oldest turns first (never the
 * system turn, nor the last exchange), then tokens from the left behind the system turn. What still
 * does not fit is cut from the completion's end.
 */
export function encodePairs(
  encoder: ChatEncoder,
  pairs: readonly PreferencePair[],
  limits: LengthLimits,
): EncodedExamples {
  return collect(pairs, (pair) => encodePair(encoder, pair, limits));
}

/** One pair as `encodePairs` encodes it; without sequences where it holds nothing to learn. */
export function encodePair(
  encoder: ChatEncoder,
  { prompt, chosen, rejected }: PreferencePair,
  limits: LengthLimits,
): EncodedItem {
  if (prompt.length === 0 || chosen === rejected) return NOTHING;
  const encoded = fitAnswers(encoder, prompt, [chosen, rejected], limits);
  return isEmpty(encoded) ? NOTHING : encoded;
}

/** Rated answers to one sequence each, the completion scored; too long ones are cut as `encodePairs` cuts. */
export function encodeRated(
  encoder: ChatEncoder,
  completions: readonly RatedCompletion[],
  limits: LengthLimits,
): EncodedExamples {
  return collect(completions, ({ prompt, completion }) =>
    prompt.length === 0 ? NOTHING : fitAnswers(encoder, prompt, [completion], limits),
  );
}

type Turns = readonly ChatMessage[];

function collect<T extends { readonly id: string; readonly weight?: number }>(
  items: readonly T[],
  encode: (item: T) => EncodedItem,
): EncodedExamples {
  const examples: Example[] = [];
  const truncated: string[] = [];
  const dropped: string[] = [];
  for (const item of items) {
    const encoded = encode(item);
    if (isEmpty(encoded)) {
      dropped.push(item.id);
      continue;
    }
    if (encoded.truncated) truncated.push(item.id);
    examples.push({ id: item.id, sequences: encoded.sequences, weight: item.weight ?? 1 });
  }
  return { examples, truncated, dropped };
}

const NOTHING: EncodedItem = { sequences: [], truncated: false };

function isEmpty({ sequences }: EncodedItem): boolean {
  return sequences.length === 0 || sequences.some((one) => scoredTokens(one) === 0);
}

function dialogueSequence(encoder: ChatEncoder, turns: Turns): Sequence {
  const tokens = encodeThroughEnd(encoder, turns);
  const scored = new Uint8Array(tokens.length);
  turns.forEach((turn, index) => {
    if (!isAssistant(turn)) return;
    const prompt = encoder.encodeChat(turns.slice(0, index), { addGenerationPrompt: true });
    const end = encodeThroughEnd(encoder, turns.slice(0, index + 1)).length;
    scored.fill(1, Math.max(1, commonPrefix(prompt, tokens)), end);
  });
  return { tokens, scored };
}

type Answers = {
  readonly prompt: Int32Array;
  readonly whole: readonly Int32Array[];
  /** Where the answers begin in each of `whole`. */
  readonly start: number;
};

function fitAnswers(
  encoder: ChatEncoder,
  prompt: Turns,
  answers: readonly string[],
  limits: LengthLimits,
): EncodedItem {
  let encoded = encodeAnswers(encoder, prompt, answers);
  const fits = () => encoded.whole.every(({ length }) => length <= limits.maxTokens);
  const promptTooLong = () => !fits() && encoded.start > limits.maxPromptTokens;
  if (fits()) return { sequences: scoreAnswers(encoded, limits), truncated: false };
  let kept: Turns = prompt;
  while (promptTooLong()) {
    const fewer = withoutOldest(kept);
    if (fewer === undefined) break;
    kept = fewer;
    encoded = encodeAnswers(encoder, kept, answers);
  }
  if (promptTooLong()) encoded = cutPrompt(encoded, systemLength(encoder, kept), limits);
  return { sequences: scoreAnswers(encoded, limits), truncated: true };
}

function encodeAnswers(encoder: ChatEncoder, turns: Turns, answers: readonly string[]): Answers {
  const prompt = encoder.encodeChat(turns, { addGenerationPrompt: true });
  const whole = answers.map((content) =>
    encodeThroughEnd(encoder, [...turns, { role: "assistant", content }]),
  );
  // A vocabulary may merge the prompt's last token with the answer's first: what is shared ends before.
  return { prompt, whole, start: Math.min(...whole.map((tokens) => commonPrefix(prompt, tokens))) };
}

function scoreAnswers({ whole, start }: Answers, { maxTokens }: LengthLimits): Sequence[] {
  return whole.map((tokens) => {
    const end = Math.min(tokens.length, maxTokens);
    return scoredRange(tokens.slice(0, end), start, end);
  });
}

/** Keeps the system turn (or BOS) and the prompt's end, `maxPromptTokens` together. */
function cutPrompt(
  encoded: Answers,
  systemTokens: number,
  { maxPromptTokens }: LengthLimits,
): Answers {
  const head = Math.min(systemTokens, Math.floor(maxPromptTokens / 2));
  const tail = maxPromptTokens - head;
  const cut = (tokens: Int32Array): Int32Array =>
    concatTokens(tokens.subarray(0, head), tokens.subarray(encoded.start - tail));
  return { prompt: cut(encoded.prompt), whole: encoded.whole.map(cut), start: maxPromptTokens };
}

/** Tokens of the system turn, or of BOS alone. */
function systemLength(encoder: ChatEncoder, turns: Turns): number {
  const system = turns.filter((turn, index) => index === 0 && turn.role === "system");
  return encoder.encodeChat(system, { addGenerationPrompt: false }).length;
}

/** Without the first exchange behind the system turn; undefined when there is no later one. */
function withoutOldest(turns: Turns): Turns | undefined {
  const system = turns[0]?.role === "system" ? 1 : 0;
  const next = turns.findIndex((turn, index) => index > system && turn.role === "user");
  return next < 0 ? undefined : [...turns.slice(0, system), ...turns.slice(next)];
}

/** Tokens up to the `</s>` of the last turn: the template's line break behind it is never generated. */
function encodeThroughEnd(encoder: ChatEncoder, turns: Turns): Int32Array {
  const tokens = encoder.encodeChat(turns, { addGenerationPrompt: false });
  return tokens.slice(0, tokens.lastIndexOf(encoder.eos) + 1);
}

function commonPrefix(a: Int32Array, b: Int32Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return i;
  return shorter;
}

function isAssistant({ role }: ChatMessage): boolean {
  return role === "assistant";
}
