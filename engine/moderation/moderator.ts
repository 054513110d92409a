/**
 * Puts the layers together: every text passes the lexical one, then each plugged-in moderator.
 * Fails closed: a check that cannot run withholds the text. It knows nothing of HTTP or models.
 */
import { setImmediate } from "node:timers/promises";
import type { ChatMessage } from "../backends/backend.ts";
import { firstMatch, LexicalScanner, type Lexicon, scanText } from "./lexical.ts";
import { reasonFor, type Stage } from "./policy.ts";
import { StreamCheck } from "./stream-check.ts";

/** What one check reads. */
export type Passage = {
  readonly stage: Stage;
  readonly text: string;
  /** What came right before `text` and was found harmless; about 50 tokens, empty at the start. */
  readonly context: string;
  readonly signal: AbortSignal;
};

/** Why text is withheld. */
export type Block = {
  readonly stage: Stage;
  /** Llama Guard's S1–S14, or `slur`, `blocklist`, `unchecked`. */
  readonly category: string;
  /** One sentence to show in place of the text. */
  readonly reason: string;
};

/**
 * A check that reads passages, of about 200 tokens on output and everything people wrote on input:
 * where a guard model plugs in.
 * Throwing, or rejecting, counts as "could not check", which withholds the passage.
 */
export interface Moderator {
  /** For logs. */
  readonly name: string;
  /** The category that forbids the passage; null when it may be shown. */
  check(passage: Passage): Promise<string | null>;
}

const SLICE_CHARACTERS = 8192;

/** The checks of one engine. */
export class Moderation {
  readonly #lexicon: Lexicon;
  readonly #moderators: readonly Moderator[];
  readonly #onFailure: (name: string, error: unknown) => void;

  /** @param options.onFailure told of each check that could not run, without its text */
  constructor(options: {
    readonly lexicon: Lexicon;
    readonly moderators?: readonly Moderator[];
    readonly onFailure: (name: string, error: unknown) => void;
  }) {
    this.#lexicon = options.lexicon;
    this.#moderators = options.moderators ?? [];
    this.#onFailure = options.onFailure;
  }

  /**
   * Checks a conversation before generation. What people wrote is held to the rules of input, what an
   * assistant is said to have written to those of output; the system prompt is the operator's own.
   */
  async checkInput(
    messages: readonly ChatMessage[],
    signal: AbortSignal,
  ): Promise<Block | undefined> {
    for (const { role, content } of messages) {
      if (role === "system") continue;
      const rules = role === "user" ? "input" : "output";
      const found = await this.#scan(content, rules);
      if (found !== undefined) return toBlock("input", found);
    }
    const people = messages.filter((message) => message.role === "user");
    const text = people.map((message) => message.content).join("\n\n");
    const category = await this.#ask({ stage: "input", text, context: "", signal });
    return category === null ? undefined : toBlock("input", category);
  }

  /** Opens the check of one generated text. */
  openOutput(signal: AbortSignal): StreamCheck {
    return new StreamCheck({
      scanner: new LexicalScanner(this.#lexicon, "output"),
      check:
        this.#moderators.length === 0
          ? undefined
          : (text, context) => this.#ask({ stage: "output", text, context, signal }),
    });
  }

  /** Whether a single token may be shown by itself, among the alternatives of log-probabilities. */
  isTokenClean(token: string): boolean {
    return scanText(this.#lexicon, "output", token) === undefined;
  }

  /** Scans in slices, so that a long text does not hold up the streams of others. */
  async #scan(text: string, stage: Stage): Promise<string | undefined> {
    const scanner = new LexicalScanner(this.#lexicon, stage);
    for (let from = 0; from < text.length; from += SLICE_CHARACTERS) {
      if (from > 0) await setImmediate();
      const found = firstMatch(scanner.push(text.slice(from, from + SLICE_CHARACTERS)));
      if (found !== undefined) return found;
    }
    return firstMatch(scanner.finish());
  }

  async #ask(passage: Passage): Promise<string | null> {
    for (const moderator of this.#moderators) {
      try {
        const category = await moderator.check(passage);
        if (category !== null) return category;
      } catch (error) {
        this.#onFailure(moderator.name, error);
        return "unchecked";
      }
    }
    return null;
  }
}

/** The block of a category, with its sentence for people. */
export function toBlock(stage: Stage, category: string): Block {
  return { stage, category, reason: reasonFor(category, stage) };
}
