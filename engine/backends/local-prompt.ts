/** From a conversation to the tokens that a local model goes on from. It knows no contexts and no adapters. */
import { CodedError } from "../base/errors.ts";
import { commonPrefix } from "../llama/loop/sequence-cache.ts";
import type { Vocabulary } from "../llama/vocabulary.ts";
import type { ChatMessage } from "./backend.ts";
import { countImages, type PromptMessage, type TurnMarkers, tellsOfCalls } from "./prompt.ts";

/** Encodes by the chat template, or between a guard model's own markers. */
export class PromptEncoder {
  readonly #vocabulary: Vocabulary;
  readonly #turn: TurnMarkers | undefined;
  #systemPrompt: { readonly text: string; readonly tokens: Int32Array } | undefined;

  constructor(vocabulary: Vocabulary, turn: TurnMarkers | undefined) {
    this.#vocabulary = vocabulary;
    this.#turn = turn;
  }

  /** @throws CodedError `invalid_request` for pictures and calls, which models in the engine do not read */
  encode(messages: readonly PromptMessage[]): Int32Array {
    const plain = plainMessages(messages);
    if (this.#turn !== undefined) return encodeTurn(this.#vocabulary, this.#turn, plain);
    return this.#vocabulary.encodeChat(plain, { addGenerationPrompt: true });
  }

  /** How many of the prompt's tokens are its system prompt's. */
  sharedTokens(messages: readonly PromptMessage[], prompt: Int32Array): number {
    const [first] = messages;
    if (first?.role !== "system") return 0;
    if (this.#systemPrompt?.text !== first.content) {
      const tokens = this.#vocabulary.encodeChat([first], { addGenerationPrompt: false });
      this.#systemPrompt = { text: first.content, tokens };
    }
    // The last token of both differs: what follows a turn's line end merges with it.
    return Math.min(commonPrefix(this.#systemPrompt.tokens, prompt), prompt.length - 1);
  }
}

/** The service refuses before; text that stands beside a picture must not be answered without it. */
function plainMessages(messages: readonly PromptMessage[]): readonly ChatMessage[] {
  const isPlain = !tellsOfCalls(messages) && messages.every((one) => countImages(one) === 0);
  if (isPlain) return messages.flatMap((one) => (one.role === "tool" ? [] : [one]));
  throw new CodedError("Expected plain text: pictures and calls are for other servers' models.", {
    code: "invalid_request",
  });
}

/** BOS, the markers as control tokens, what is between them as text. */
function encodeTurn(
  vocabulary: Vocabulary,
  { before, after }: TurnMarkers,
  messages: readonly ChatMessage[],
): Int32Array {
  const text = messages.map(({ content }) => content).join("\n\n");
  return Int32Array.from([
    ...vocabulary.tokenize(before, { special: true, addBos: true }),
    ...vocabulary.tokenize(text, { special: false, addBos: false }),
    ...vocabulary.tokenize(after, { special: true, addBos: false }),
  ]);
}
