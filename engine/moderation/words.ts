/**
 * Cuts text into words for the lexical checks, a piece at a time: where a piece ends never matters.
 * It knows no policy. Offsets are UTF-16 code units from the start of the text.
 */
import { foldLeet, foldWord } from "./normalise.ts";

/** A stretch of text between spaces; a character of a script without spaces stands alone. */
export type Word = {
  readonly type: "word";
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly raw: string;
};

/** The end of a sentence or line. */
type Break = { readonly type: "break"; readonly end: number };

const SPACE = /\s/;
const SENTENCE_END = /[.!?…。！？][)\]}"'’”»*_]*$/;
/** Scripts written without spaces: Thai to Khmer, kana, Han. Hangul has spaces. */
const UNSPACED =
  /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff0f]/;
/** A longer run without spaces is read in overlapping windows, so that it cannot stall a stream. */
const WINDOW = 96;
const OVERLAP = 32;

/** Reads words from pieces of one text. */
export class WordReader {
  #pending = "";
  #start = 0;

  /** Everything before this offset has been given out in words. */
  get pendingStart(): number {
    return this.#start;
  }

  /** The words that `piece` completes, in order. */
  *push(piece: string): Generator<Word | Break> {
    for (let index = 0; index < piece.length; index++) {
      const unit = piece.charAt(index);
      if (SPACE.test(unit)) yield* this.#onSpace(unit);
      else if (UNSPACED.test(unit)) yield* this.#onUnspaced(unit);
      else yield* this.#onUnit(unit);
    }
  }

  /** The word that the text ends with, and the end itself. */
  *finish(): Generator<Word | Break> {
    yield* this.#flush();
    yield { type: "break", end: this.#start };
  }

  *#onSpace(unit: string): Generator<Word | Break> {
    yield* this.#flush();
    this.#start += 1;
    if (unit === "\n") yield { type: "break", end: this.#start };
  }

  *#onUnspaced(unit: string): Generator<Word | Break> {
    yield* this.#flush();
    this.#pending = unit;
    yield* this.#flush();
  }

  *#onUnit(unit: string): Generator<Word | Break> {
    this.#pending += unit;
    if (this.#pending.length < WINDOW) return;
    const word = this.#word();
    const kept = firstUnitOfPair(word.raw, WINDOW - OVERLAP);
    this.#start += kept;
    this.#pending = word.raw.slice(kept);
    yield word;
  }

  *#flush(): Generator<Word | Break> {
    if (this.#pending === "") return;
    const word = this.#word();
    this.#start = word.end;
    this.#pending = "";
    yield word;
    if (SENTENCE_END.test(word.raw)) yield { type: "break", end: word.end };
  }

  #word(): Word {
    const end = this.#start + this.#pending.length;
    return { type: "word", start: this.#start, end, raw: this.#pending };
  }
}

/** What a word may be read as: each inner list holds the readings of one part. */
export type Readings = readonly (readonly string[])[];

const LEET = /^[a-z0-9@$!|]+$/;

/**
 * The folded readings of a word's parts: `well-known` has two parts, `h4te` one part with two readings.
 */
export function readingsOf(raw: string): Readings {
  const folded = foldWord(raw).replaceAll(/['’]/g, "");
  const core = folded.replaceAll(/^[^\p{L}\p{N}@$]+|[^\p{L}\p{N}@$]+$/gu, "");
  if (LEET.test(core) && /[a-z]/.test(core) && /[^a-z]/.test(core)) {
    const letters = foldLeet(core);
    return [/^[a-z0-9]+$/.test(core) ? [core, letters] : [letters]];
  }
  return (folded.match(/[\p{L}\p{N}]+/gu) ?? []).map((part) => [part]);
}

function firstUnitOfPair(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code >= 0xdc00 && code <= 0xdfff ? index - 1 : index;
}
