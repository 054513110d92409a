/**
 * Text to tokens and back by a learned vocabulary, the way llama.cpp's SentencePiece tokenizer does it
 * (llama-vocab.cpp, llm_tokenizer_spm): always the best-scored merge first, bytes for what is left.
 * Training and serving use libllama's own; this one exists before there is a GGUF, and to hold it against.
 */
import { byteToken, TOKEN_TYPE, type TokenTable } from "../../gguf/tokenizer-metadata.ts";
import { SPACE } from "./learn.ts";

/** A vocabulary with the indices that encoding needs. */
export class Tokenizer {
  readonly #table: TokenTable;
  readonly #ids = new Map<string, number>();

  constructor(table: TokenTable) {
    this.#table = table;
    table.tokens.forEach((token, id) => {
      this.#ids.set(token, id);
    });
  }

  /** Tokens of plain text, without BOS; text of control tokens stays text. */
  encode(text: string): number[] {
    if (text === "") return [];
    const prefixed = this.#table.addSpacePrefix ? ` ${text}` : text;
    const symbols = this.#merge([...prefixed.replaceAll(" ", SPACE)]);
    return symbols.flatMap((symbol) => this.#idsOf(symbol));
  }

  /** The text of tokens; control tokens give none. `▁` itself reads as a space, as in libllama. */
  decode(ids: readonly number[]): string {
    const bytes: number[] = [];
    const encoder = new TextEncoder();
    for (const id of ids) {
      const piece = this.#table.tokens[id] ?? "";
      const type = this.#table.types[id];
      if (type === TOKEN_TYPE.byte) bytes.push(Number.parseInt(piece.slice(3, 5), 16));
      else if (type === TOKEN_TYPE.normal)
        bytes.push(...encoder.encode(piece.replaceAll(SPACE, " ")));
    }
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    return this.#table.addSpacePrefix && text.startsWith(" ") ? text.slice(1) : text;
  }

  /** Merges neighbours, the highest score first and the leftmost of equals, until nothing merges. */
  #merge(characters: readonly string[]): string[] {
    const symbols = [...characters];
    for (;;) {
      let best = -1;
      let bestScore = Number.NEGATIVE_INFINITY;
      for (let i = 1; i < symbols.length; i++) {
        const id = this.#ids.get(`${symbols[i - 1]}${symbols[i]}`);
        const score = id === undefined ? bestScore : (this.#table.scores[id] ?? bestScore);
        if (score <= bestScore) continue;
        best = i;
        bestScore = score;
      }
      if (best < 0) return symbols;
      symbols.splice(best - 1, 2, `${symbols[best - 1]}${symbols[best]}`);
    }
  }

  #idsOf(symbol: string): number[] {
    const id = this.#ids.get(symbol);
    if (id !== undefined) return [id];
    const bytes = new TextEncoder().encode(symbol);
    return Array.from(bytes, (byte) => this.#ids.get(byteToken(byte)) ?? this.#table.unknown);
  }
}
