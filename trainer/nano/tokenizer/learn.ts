/**
 * Learns a byte-pair vocabulary in SentencePiece's form from text: `▁` for spaces, byte fallback,
 * scores such that llama.cpp's tokenizer repeats the merges. It knows nothing of models or chats.
 */
import { byteToken, TOKEN_TYPE, type TokenTable } from "../../gguf/tokenizer-metadata.ts";

/** Stands for a space in pieces (U+2581). */
export const SPACE = "▁";

const SPECIAL = ["<unk>", "<s>", "</s>"] as const;
const BYTES = Array.from({ length: 256 }, (_, byte) => byteToken(byte));
const PRINTABLE_ASCII = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));

/**
 * No piece reaches across these borders. llama.cpp merges without such rules, but it can only make
 * pieces that are in the vocabulary, so keeping them out of it has the same effect.
 */
const CHUNK =
  /▁?<\|(?:user|assistant|system)\|>|▁?\p{L}+|▁?\p{N}{1,4}|▁?[^▁\p{L}\p{N}\n]+|▁+|\n+/gu;

/**
 * Byte-pair encoding (Sennrich et al., arXiv 1508.07909) over words, each counted once.
 * @param texts what to learn from; the same texts give the same table
 * @param size tokens in all, special ones, 256 bytes and single characters included
 * @throws RangeError when `size` leaves no room for the characters
 */
export function learnVocabulary(texts: Iterable<string>, size: number): TokenTable {
  const words = countChunks(texts);
  const characters = [...new Set([SPACE, "\n", ...PRINTABLE_ASCII, ...charactersOf(words)])];
  const merges = size - SPECIAL.length - BYTES.length - characters.length;
  if (merges < 0) {
    throw new RangeError(`${size} tokens leave no room for ${characters.length} characters`);
  }
  return tableOf(learnMerges(words, merges), characters);
}

function tableOf(merged: readonly string[], characters: readonly string[]): TokenTable {
  const pieces = [...merged, ...characters];
  const fixed = SPECIAL.length + BYTES.length;
  const types = [...SPECIAL, ...BYTES, ...pieces].map((_, id) => {
    if (id === 0) return TOKEN_TYPE.unknown;
    if (id < SPECIAL.length) return TOKEN_TYPE.control;
    return id < fixed ? TOKEN_TYPE.byte : TOKEN_TYPE.normal;
  });
  return {
    tokens: [...SPECIAL, ...BYTES, ...pieces],
    scores: Float32Array.from(types, (_, id) => Math.min(0, fixed - id)),
    types: Int32Array.from(types),
    bos: 1,
    eos: 2,
    unknown: 0,
    addSpacePrefix: true,
  };
}

function countChunks(texts: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [chunk] of ` ${text}`.replaceAll(" ", SPACE).matchAll(CHUNK)) {
      counts.set(chunk, (counts.get(chunk) ?? 0) + 1);
    }
  }
  return counts;
}

function charactersOf(words: ReadonlyMap<string, number>): string[] {
  const characters = new Set<string>();
  for (const word of words.keys()) for (const character of word) characters.add(character);
  return [...characters].sort();
}

/** A word as its current symbols, and how often it stands in the text. */
type Word = { symbols: string[]; readonly count: number };

/** Joins a pair in keys; it occurs in no text, as it is no character. */
const JOINT = "\uFFFF";

/** Pieces in the order of their merges; fewer than wanted when no pair is left. */
function learnMerges(counts: ReadonlyMap<string, number>, wanted: number): string[] {
  const words = [...counts].map(([word, count]): Word => ({ symbols: [...word], count }));
  const pairs = new PairCounts();
  words.forEach((word, index) => {
    pairs.add(word, index, 1);
  });
  const pieces = new Set<string>();
  while (pieces.size < wanted) {
    const best = pairs.best();
    if (best === undefined) break;
    const [left = "", right = ""] = best.split(JOINT);
    for (const index of pairs.wordsWith(best)) {
      const word = words[index];
      if (word === undefined) continue;
      pairs.add(word, index, -1);
      word.symbols = mergePair(word.symbols, left, right);
      pairs.add(word, index, 1);
    }
    pieces.add(left + right);
  }
  return [...pieces];
}

/** How often each pair of neighbours occurs, and in which words. */
class PairCounts {
  readonly #counts = new Map<string, number>();
  readonly #words = new Map<string, Set<number>>();

  add({ symbols, count }: Word, index: number, sign: 1 | -1): void {
    for (let i = 1; i < symbols.length; i++) {
      const pair = symbols[i - 1] + JOINT + symbols[i];
      const total = (this.#counts.get(pair) ?? 0) + sign * count;
      if (total > 0) this.#counts.set(pair, total);
      else this.#counts.delete(pair);
      if (sign > 0) this.#remember(pair, index);
    }
  }

  wordsWith(pair: string): readonly number[] {
    return [...(this.#words.get(pair) ?? [])];
  }

  /** The most frequent pair, the alphabetically first of equals; undefined when none is left. */
  best(): string | undefined {
    let best: string | undefined;
    let bestCount = 0;
    for (const [pair, count] of this.#counts) {
      if (count < bestCount || (count === bestCount && best !== undefined && pair > best)) continue;
      best = pair;
      bestCount = count;
    }
    return best;
  }

  #remember(pair: string, index: number): void {
    const known = this.#words.get(pair);
    if (known === undefined) this.#words.set(pair, new Set([index]));
    else known.add(index);
  }
}

function mergePair(symbols: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const symbol = symbols[i] ?? "";
    const matches = symbol === left && symbols[i + 1] === right;
    merged.push(matches ? left + right : symbol);
    if (matches) i += 1;
  }
  return merged;
}
