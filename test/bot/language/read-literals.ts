/** The texts in TypeScript's source, each with the calls and the property that it stands in. */

/** One string or template. */
export type Literal = {
  /** A template's fixed parts, a space in place of each expression. */
  readonly text: string;
  /** What is called around it, outermost first: `log.warn`, `.setLabel`. */
  readonly callees: readonly string[];
  /** The property that it is the value of, or ends; empty elsewhere. */
  readonly property: string;
};

type Frame = { readonly closes: string; readonly callee: string; readonly pieces?: string[] };

const COMMENT = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|\s+/y;
const STRING = /"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'/y;
const WORD = /[\w$#.?]+/y;
const EXPRESSION = /\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n])+\/[a-z]*/y;
const CHUNK = /((?:[^`\\$]|\\[\s\S]|\$(?!\{))*)(`|\$\{)/y;
const CLOSING = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
]);

/** Reads a file from its start to its end. */
export class LiteralReader {
  readonly literals: Literal[] = [];
  readonly #source: string;
  readonly #open: Frame[] = [];
  /** The last two tokens, the newest last. */
  #last: readonly [string, string] = ["", ""];
  #at = 0;

  constructor(source: string) {
    this.#source = source;
    while (this.#at < source.length) this.#step();
  }

  #step(): void {
    if (this.#take(COMMENT) !== undefined) return;
    const string = this.#take(STRING);
    const word = string === undefined ? this.#take(WORD) : undefined;
    // Behind a value a slash divides.
    const mayBeExpression = !/[\w$)\]]$/.test(this.#last[1]);
    if (string !== undefined) this.#found(string[1] ?? string[2] ?? "");
    else if (word !== undefined) this.#pass(word[0]);
    else if (mayBeExpression && this.#take(EXPRESSION) !== undefined) this.#pass("/r/");
    else this.#mark(this.#source[this.#at] ?? "");
  }

  #mark(mark: string): void {
    this.#at += 1;
    const closing = CLOSING.get(mark);
    const closed = mark === this.#open.at(-1)?.closes ? this.#open.pop() : undefined;
    if (closing !== undefined) {
      this.#open.push({ closes: closing, callee: mark === "(" ? this.#last[1] : "" });
    }
    if (mark === "`") this.#template([]);
    else if (closed?.pieces !== undefined) this.#template(closed.pieces);
    else this.#pass(mark);
  }

  /** From where a template begins, or goes on behind an expression. */
  #template(pieces: string[]): void {
    const [, text = "", end] = this.#take(CHUNK) ?? [];
    pieces.push(text);
    if (end === "${") this.#open.push({ closes: "}", callee: "", pieces });
    else this.#found(pieces.join(" "));
  }

  #found(text: string): void {
    const callees = this.#open.map(({ callee }) => callee).filter((callee) => callee !== "");
    const [property, mark] = this.#last;
    this.literals.push({ text, callees, property: mark === ":" ? property : "" });
    this.#pass('""');
  }

  #pass(token: string): void {
    this.#last = [this.#last[1], token];
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source);
    if (found === null || found[0] === "") return undefined;
    this.#at = pattern.lastIndex;
    return found;
  }
}
