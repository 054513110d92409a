/**
 * Holds generated text back until it is checked, and lets out what passed.
 * The lexical scan holds no more than a phrase that may still come true; a slower check reads larger
 * passages, a small one first, so that the first words come soon. What is let out in all depends on the
 * text alone, never on the pieces that it came in.
 */
import type { LexicalScanner } from "./lexical.ts";

/** What may be shown now; with a category, nothing more will follow. */
export type Release = { readonly text: string; readonly category?: string };

/** Reads a passage with what came before it; the category that forbids it, or null. */
export type PassageCheck = (text: string, context: string) => Promise<string | null>;

/** The first passage: some twenty-five tokens of English, at four characters each. */
const FIRST_PASSAGE_CHARACTERS = 100;
/** About two hundred tokens. */
const PASSAGE_CHARACTERS = 800;
/** About fifty tokens. */
const CONTEXT_CHARACTERS = 200;

/** The check of one text. */
export class StreamCheck {
  readonly #scanner: LexicalScanner;
  readonly #check: PassageCheck | undefined;
  /** From `#offset` on: what is needed as context, and what is not let out yet. */
  #text = "";
  #offset = 0;
  #cleared = 0;
  #released = 0;
  #passage = FIRST_PASSAGE_CHARACTERS;
  #category: string | undefined;

  constructor(options: {
    readonly scanner: LexicalScanner;
    readonly check: PassageCheck | undefined;
  }) {
    this.#scanner = options.scanner;
    this.#check = options.check;
  }

  /** UTF-16 code units let out so far. */
  get released(): number {
    return this.#released;
  }

  /** Takes the next piece and gives out what has become safe. */
  async push(piece: string): Promise<Release> {
    this.#text += piece;
    return this.#run(this.#scanner.push(piece), false);
  }

  /** Ends the text and gives out the rest, if it is safe. */
  async finish(): Promise<Release> {
    return this.#run(this.#scanner.finish(), true);
  }

  async #run(findings: ReturnType<LexicalScanner["push"]>, isLast: boolean): Promise<Release> {
    const from = this.#released;
    for (const finding of this.#category === undefined ? findings : []) {
      if (finding.type === "match") this.#category = finding.category;
      else this.#cleared = finding.until;
      await this.#settle(false);
      if (this.#category !== undefined) break;
    }
    if (isLast && this.#category === undefined) {
      this.#cleared = this.#offset + this.#text.length;
      await this.#settle(true);
    }
    return this.#take(from);
  }

  /** Moves `#released` up to what every check has passed. */
  async #settle(isLast: boolean): Promise<void> {
    if (this.#category !== undefined || this.#cleared <= this.#released) return;
    if (this.#check === undefined) {
      this.#released = this.#cleared;
      return;
    }
    if (!isLast && this.#cleared - this.#released < this.#passage) return;
    const contextFrom = Math.max(this.#offset, this.#released - CONTEXT_CHARACTERS);
    const text = this.#slice(this.#released, this.#cleared);
    const category = await this.#check(text, this.#slice(contextFrom, this.#released));
    if (category !== null) this.#category = category;
    else this.#released = this.#cleared;
    this.#passage = Math.min(PASSAGE_CHARACTERS, this.#passage * 2);
  }

  #take(from: number): Release {
    const text = this.#slice(from, this.#released);
    const keepFrom = Math.max(this.#offset, this.#released - CONTEXT_CHARACTERS);
    this.#text = this.#text.slice(keepFrom - this.#offset);
    this.#offset = keepFrom;
    return this.#category === undefined ? { text } : { text, category: this.#category };
  }

  #slice(from: number, to: number): string {
    return this.#text.slice(from - this.#offset, to - this.#offset);
  }
}
