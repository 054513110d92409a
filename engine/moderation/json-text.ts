/**
 * JSON as a reader would hear it: escapes resolved, all else as it stands, so that checks compare words and not how
 * they are spelt. It parses nothing, and so also reads JSON that is broken or not complete yet.
 */

const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g;
/** An escape that more text may complete. */
const OPEN_ESCAPE = /(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)$/;
const CONTROLS: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** A whole text without its escapes. */
export function plainJsonText(json: string): string {
  return json.replaceAll(ESCAPE, (_escape, code: string | undefined, character: string) =>
    code === undefined
      ? (CONTROLS[character] ?? character)
      : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** Resolves the escapes of a text that comes in pieces. */
export class JsonTextReader {
  #open = "";

  /** Whether the last piece ended within an escape, whose meaning is still to come. */
  get isWithinEscape(): boolean {
    return this.#open !== "";
  }

  /** The next piece's text, but for an escape that it leaves open. */
  push(piece: string): string {
    const json = this.#open + piece;
    this.#open = OPEN_ESCAPE.exec(json)?.[1] ?? "";
    return plainJsonText(json.slice(0, json.length - this.#open.length));
  }

  /** What there is of an escape that was never completed. */
  finish(): string {
    const rest = this.#open;
    this.#open = "";
    return plainJsonText(rest);
  }
}
