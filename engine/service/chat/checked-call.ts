/**
 * One call of a function on its way through the check: its name and arguments leave piece by piece, each once what it
 * says has passed. It knows JSON's escapes, and neither the function nor the wire.
 */
import type { ToolCallDelta } from "../../backends/prompt.ts";
import { JsonTextReader } from "../../moderation/json-text.ts";
import type { StreamCheck } from "../../moderation/stream-check.ts";

/** The pieces that may leave now; with a category, nothing more will follow. */
export type CheckedPieces = {
  readonly deltas: readonly ToolCallDelta[];
  readonly category?: string;
};

/** See the file's head. */
export class CheckedCall {
  readonly #check: StreamCheck;
  readonly #reader = new JsonTextReader();
  /** What has not left yet, by where its text ends. */
  #held: { readonly end: number; readonly delta: ToolCallDelta }[] = [];
  #read = 0;

  constructor(check: StreamCheck) {
    this.#check = check;
  }

  /** Takes the next piece. */
  async push(delta: ToolCallDelta): Promise<CheckedPieces> {
    // A name is a word of its own, whatever stands after it.
    const name = delta.name === undefined ? "" : `${delta.name}\n`;
    const text = name + this.#reader.push(delta.arguments);
    this.#read += text.length;
    // A piece that ends within an escape leaves with the character that this stands for.
    this.#held.push({ end: this.#read + (this.#reader.isWithinEscape ? 1 : 0), delta });
    const { category } = await this.#check.push(text);
    return this.#released(category);
  }

  /** Ends the call; the rest of it, if it is safe. */
  async finish(): Promise<CheckedPieces> {
    await this.#check.push(this.#reader.finish());
    const { category } = await this.#check.finish();
    if (category !== undefined) return this.#released(category);
    const deltas = this.#held.splice(0).map(({ delta }) => delta);
    return { deltas };
  }

  #released(category: string | undefined): CheckedPieces {
    const { released } = this.#check;
    const passed = this.#held.findIndex(({ end }) => end > released);
    const deltas = this.#held
      .splice(0, passed === -1 ? this.#held.length : passed)
      .map(({ delta }) => delta);
    return category === undefined ? { deltas } : { deltas, category };
  }
}
