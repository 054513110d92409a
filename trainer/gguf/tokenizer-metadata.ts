/**
 * A tokenizer's tables as llama.cpp reads them from a GGUF (llama-vocab.cpp, model "llama": SentencePiece
 * with byte fallback). It does not tokenise.
 */
import type { GgufWriter } from "#engine/native/gguf-writer.ts";

/** llama.h, enum llama_token_type */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 } as const;

/** All tokens by id, and the ids with a role. */
export type TokenTable = {
  /** Pieces, `▁` for a space, `<0x0A>` for bytes; each one only once (libllama aborts otherwise). */
  readonly tokens: readonly string[];
  /** [tokens]; among pieces that could be merged, the higher score goes first. */
  readonly scores: Float32Array;
  /** [tokens], of `TOKEN_TYPE` */
  readonly types: Int32Array;
  readonly bos: number;
  readonly eos: number;
  readonly unknown: number;
  /** Whether a text gets a space in front, as Zephyr's does. */
  readonly addSpacePrefix: boolean;
};

/**
 * Writes `tokenizer.*` keys and the chat template.
 * @throws RangeError when the table would make libllama abort or misread it
 */
export function setTokenizer(writer: GgufWriter, table: TokenTable, chatTemplate: string): void {
  assertTable(table);
  writer
    .set("tokenizer.ggml.model", "str", "llama")
    .set("tokenizer.ggml.pre", "str", "default")
    .setTexts("tokenizer.ggml.tokens", table.tokens)
    .setNumbers("tokenizer.ggml.scores", table.scores)
    .setNumbers("tokenizer.ggml.token_type", table.types)
    .set("tokenizer.ggml.bos_token_id", "u32", table.bos)
    .set("tokenizer.ggml.eos_token_id", "u32", table.eos)
    .set("tokenizer.ggml.unknown_token_id", "u32", table.unknown)
    .set("tokenizer.ggml.padding_token_id", "u32", table.eos)
    .set("tokenizer.ggml.add_bos_token", "bool", true)
    .set("tokenizer.ggml.add_eos_token", "bool", false)
    .set("tokenizer.ggml.add_space_prefix", "bool", table.addSpacePrefix)
    .set("tokenizer.chat_template", "str", chatTemplate);
}

function assertTable({ tokens, scores, types, bos, eos, unknown }: TokenTable): void {
  const count = tokens.length;
  if (scores.length !== count || types.length !== count) {
    throw new RangeError(`${count} tokens need as many scores and types`);
  }
  if (tokens.includes("")) throw new RangeError("a token must not be empty");
  if (new Set(tokens).size !== count) throw new RangeError("each token must be there only once");
  for (const id of [bos, eos, unknown]) {
    if (!(id >= 0 && id < count)) throw new RangeError(`there is no token ${id}`);
  }
  for (let byte = 0; byte < 256; byte++) {
    if (!tokens.includes(byteToken(byte)))
      throw new RangeError(`token ${byteToken(byte)} is missing`);
  }
}

/** The piece that stands for one byte: `<0x0A>`. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}
