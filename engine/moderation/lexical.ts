/**
 * The lexical layer: reads a text as it grows and says what of it may be shown and what must not stand.
 * What it finds depends on the text alone, never on the pieces that it came in.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { CodedError } from "../base/errors.ts";
import { foldLeet } from "./normalise.ts";
import { compilePhrases, type PhraseMatch, PhraseReader, type PhraseSet } from "./phrases.ts";
import { rulesFor, type Stage } from "./policy.ts";
import { isSlur } from "./slurs.ts";
import { readingsOf, type Word, WordReader } from "./words.ts";

/** The compiled phrases of both stages. */
export type Lexicon = Readonly<Record<Stage, PhraseSet>> & {
  /** Changes with any of its phrases. */
  readonly sha256: string;
};

/** How far a text is known to be harmless, or what in it is not. */
export type Finding =
  | { readonly type: "clear"; readonly until: number }
  | { readonly type: "match"; readonly category: string };

/** Letters spelled out one by one are joined up to this many. */
const SPELLED_LIMIT = 24;
/** Fewer single letters than this are notes (F A G) or initials. */
const SPELLED_LEAST = 4;

/**
 * Compiles the policy, with the operator's words for both stages.
 * @param blocklist words or phrases; a trailing `*` stands for any ending
 */
export function compileLexicon(blocklist: readonly string[] = []): Lexicon {
  const patterns = blocklist.map(toPattern).filter((pattern) => pattern !== "");
  const operators = { category: "blocklist", patterns };
  const rules = {
    input: [...rulesFor("input"), operators],
    output: [...rulesFor("output"), operators],
  };
  return {
    input: compilePhrases(rules.input),
    output: compilePhrases(rules.output),
    sha256: createHash("sha256").update(JSON.stringify(rules)).digest("hex"),
  };
}

/**
 * Reads the operator's words: one word or phrase a line, `#` begins a comment.
 * @throws CodedError `config_invalid` when the file cannot be read
 */
export function readBlocklist(path: string): string[] {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
  } catch (error) {
    throw new CodedError(
      `BLOCKLIST_FILE: could not read ${path}. Give the path of a text file with one word or phrase a line, or unset it.`,
      { code: "config_invalid", cause: error },
    );
  }
}

/** Reads one text to its end or to the first thing that must not stand. */
export class LexicalScanner {
  readonly #words = new WordReader();
  readonly #phrases: PhraseReader;
  #spelled: { letter: string; start: number }[] = [];

  constructor(lexicon: Lexicon, stage: Stage) {
    this.#phrases = new PhraseReader(lexicon[stage]);
  }

  /** One finding a word that `piece` completes; a match is the last. */
  *push(piece: string): Generator<Finding> {
    yield* this.#follow(this.#words.push(piece));
  }

  /** The findings of the last word and of the text's end. */
  *finish(): Generator<Finding> {
    yield* this.#follow(this.#words.finish());
  }

  *#follow(events: ReturnType<WordReader["push"]>): Generator<Finding> {
    for (const event of events) {
      const category =
        event.type === "word" ? this.#onWord(event) : this.#phrases.endSentence()?.category;
      if (category !== undefined) {
        yield { type: "match", category };
        return;
      }
      yield { type: "clear", until: this.#clearUntil(event.end) };
    }
  }

  #onWord(word: Word): string | undefined {
    const readings = readingsOf(word.raw);
    if (isSlurWord(readings) || this.#isSlurSpelled(readings, word)) return "slur";
    let match: PhraseMatch | undefined;
    for (const part of readings) match ??= this.#phrases.read(part, word.start, word.end);
    return match?.category;
  }

  #isSlurSpelled(readings: ReturnType<typeof readingsOf>, { start }: Word): boolean {
    const letter = readings.length === 1 ? foldLeet(readings[0]?.at(-1) ?? "") : "";
    if (!/^[a-z]$/.test(letter)) {
      // A lone dash or dot between letters is part of the spelling.
      if (readings.length > 0) this.#spelled = [];
      return false;
    }
    this.#spelled = [...this.#spelled, { letter, start }].slice(-SPELLED_LIMIT);
    const joined = this.#spelled.map((entry) => entry.letter).join("");
    return joined.length >= SPELLED_LEAST && isSlur(joined);
  }

  #clearUntil(end: number): number {
    // A single letter is most often a word of its own ("a", "I"): it need not wait.
    const spelledFrom =
      this.#spelled.length < 2 ? Number.POSITIVE_INFINITY : (this.#spelled[0]?.start ?? 0);
    return Math.min(end, this.#words.pendingStart, this.#phrases.openFrom, spelledFrom);
  }
}

/** The first thing in a whole text that must not stand. */
export function scanText(lexicon: Lexicon, stage: Stage, text: string): string | undefined {
  const scanner = new LexicalScanner(lexicon, stage);
  return firstMatch(scanner.push(text)) ?? firstMatch(scanner.finish());
}

/** The category of the first match among findings. */
export function firstMatch(findings: Iterable<Finding>): string | undefined {
  for (const finding of findings) if (finding.type === "match") return finding.category;
  return undefined;
}

function isSlurWord(readings: ReturnType<typeof readingsOf>): boolean {
  if (readings.some((part) => part.some(isSlur))) return true;
  // Punctuation between the letters of a word: read with it taken out.
  return readings.length > 1 && isSlur(readings.map((part) => part.at(-1) ?? "").join(""));
}

function toPattern(entry: string): string {
  return entry
    .split(/\s+/)
    .flatMap((word) => {
      const stem = word.endsWith("*") ? "*" : "";
      return spaced(word).map((part, index, all) =>
        index === all.length - 1 ? part + stem : part,
      );
    })
    .join(" ");
}

/** The words of an operator's entry, cut as any text is. */
function spaced(entry: string): string[] {
  const reader = new WordReader();
  return [...reader.push(entry), ...reader.finish()]
    .filter((event) => event.type === "word")
    .flatMap((word) => readingsOf(word.raw).map((part) => part[0] ?? ""));
}
