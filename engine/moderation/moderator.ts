/**
 * Puts the layers together: every text passes the lexical one, then each plugged-in moderator, and the
 * community's policy decides about what they find.
 * Fails closed: a check that cannot run withholds the text. It knows nothing of HTTP or models.
 */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { PromptMessage } from "../backends/prompt.ts";
import type { GuardTurn, Severity } from "./guard-format.ts";
import {
  type Ceiling,
  DEFAULT_POLICY,
  type Decision,
  decide,
  type GuildPolicy,
  strictest,
} from "./guild-policy.ts";
import { plainJsonText } from "./json-text.ts";
import { firstMatch, LexicalScanner, type Lexicon, scanText } from "./lexical.ts";
import { reasonFor, type Stage } from "./policy.ts";
import { StreamCheck } from "./stream-check.ts";
import { supportText } from "./support.ts";

/** What one check reads. */
export type Passage = {
  readonly stage: Stage;
  /** What people and the assistant said: all of it on input, what was asked on output. */
  readonly turns: readonly GuardTurn[];
  /** On output the passage itself, about 200 tokens; empty on input. */
  readonly text: string;
  /** What came right before `text` and was found harmless; about 50 tokens, empty at the start. */
  readonly context: string;
  readonly signal: AbortSignal;
};

/** What a moderator found in one text. */
export type Assessment = {
  /** Adds up to 1. */
  readonly probabilities: Readonly<Record<Severity, number>>;
  /** Llama Guard's S1–S14 and what else there is to name. */
  readonly hazards: readonly string[];
};

/** Why text is withheld. */
export type Block = {
  readonly stage: Stage;
  /** Llama Guard's S1–S14, or `slur`, `blocklist`, `moderators`, `jailbreak`, `unspecified`, `unchecked`. */
  readonly category: string;
  /** What to show in place of the text. */
  readonly reason: string;
  /** Of a guard model's verdict: P(unsafe) + P(controversial). */
  readonly probability?: number;
};

/** A text that was shown, with a note. */
export type Warning = {
  readonly stage: Stage;
  readonly category: string;
  readonly severity: Severity;
  readonly probability: number;
};

/** What came of an input check. */
export type InputCheck = { readonly block?: Block; readonly warnings: readonly Warning[] };

/**
 * A check that reads passages: where a guard model plugs in.
 * Throwing, or rejecting, counts as "could not check", which withholds the passage.
 */
export interface Moderator {
  /** For logs. */
  readonly name: string;
  /** What is found, one for each text judged; none where there is nothing to judge. */
  check(passage: Passage): Promise<readonly Assessment[]>;
}

/** Looks at pictures. Throwing, or rejecting, counts as "could not check", which withholds the request. */
export interface ImageModerator {
  /** For logs and health. */
  readonly name: string;
  /** What is found in one picture, an assessment for each kind of harm. @param url of scheme `data:` */
  check(url: string, signal: AbortSignal): Promise<readonly Assessment[]>;
}

/** How the checks of one engine are made up. */
type ModerationOptions = {
  readonly lexicon: Lexicon;
  readonly moderators?: readonly Moderator[];
  /** Looks at pictures; undefined: nobody does. */
  readonly images?: ImageModerator | undefined;
  /** What is blocked whatever a community's policy says. */
  readonly ceiling?: Ceiling;
  /** Shows what only the lexical layer has checked when another check cannot run: the operator's choice. */
  readonly failOpen?: boolean;
  /** Told of each check that could not run, without its text. */
  readonly onFailure: (name: string, error: unknown) => void;
};

const SLICE_CHARACTERS = 8192;
const UNCHECKED: Decision = {
  action: "block",
  hazard: "unchecked",
  severity: "unsafe",
  probability: 1,
};

/** The checks of one engine. */
export class Moderation {
  readonly #options: ModerationOptions;
  readonly #moderators: readonly Moderator[];

  constructor(options: ModerationOptions) {
    this.#options = options;
    this.#moderators = options.moderators ?? [];
  }

  /** The layers by name, for people. */
  get layers(): readonly string[] {
    const { images } = this.#options;
    const checks = [...this.#moderators, ...(images === undefined ? [] : [images])];
    return ["lexical", ...checks.map(({ name }) => name)];
  }

  /** Whether pictures can be checked. */
  get seesImages(): boolean {
    return this.#options.images !== undefined;
  }

  /** Stays the same for as long as it judges by the same phrases, guards and limits. */
  get version(): string {
    const { lexicon, ceiling = new Set(), failOpen = false } = this.#options;
    const rules = [lexicon.sha256, this.layers, [...ceiling].toSorted(), failOpen];
    return createHash("sha256").update(JSON.stringify(rules)).digest("hex").slice(0, 16);
  }

  /**
   * Checks a conversation before generation. What people wrote, or tools answered, is held to the rules of
   * input, what an assistant is said to have written or called to those of output; the system prompt and what
   * tools there are is the operator's own. Pictures are looked at where there is a check that can.
   */
  async checkInput(
    messages: readonly PromptMessage[],
    signal: AbortSignal,
    policy: GuildPolicy = DEFAULT_POLICY,
  ): Promise<InputCheck> {
    const turns = turnsOf(messages);
    for (const { role, content } of turns) {
      const found = await this.#scan(content, role === "user" ? "input" : "output");
      if (found === undefined) continue;
      return { block: toBlock("input", found, policy), warnings: [] };
    }
    // Behind the lexical layer: whoever pleads for help is shown it, whatever moderators decided.
    if (policy.decided === "block") {
      return { block: toBlock("input", "moderators", policy), warnings: [] };
    }
    const passage = { stage: "input", turns, text: "", context: "", signal } as const;
    const [said, shown] = await Promise.all([
      this.#ask(passage, policy),
      this.#look(imagesIn(messages), signal, policy),
    ]);
    const found = [said, shown].filter((one) => one !== undefined);
    const decision = found.length === 0 ? undefined : strictest(found);
    return decision === undefined
      ? { warnings: [] }
      : decision.action === "block"
        ? {
            block: withProbability(toBlock("input", decision.hazard, policy), decision),
            warnings: [],
          }
        : { warnings: [toWarning("input", decision)] };
  }

  /**
   * Opens the check of one generated text.
   * @param options.messages what is answered
   * @param options.onWarning told of each passage that passed with a note
   */
  openOutput(options: {
    readonly messages: readonly PromptMessage[];
    readonly signal: AbortSignal;
    readonly policy?: GuildPolicy;
    readonly onWarning?: (warning: Warning) => void;
  }): StreamCheck {
    const scanner = new LexicalScanner(this.#options.lexicon, "output");
    const { signal, policy = DEFAULT_POLICY, onWarning } = options;
    if (this.#moderators.length === 0) return new StreamCheck({ scanner, check: undefined });
    const turns = turnsOf(options.messages);
    const check = async (text: string, context: string): Promise<string | null> => {
      const decision = await this.#ask({ stage: "output", turns, text, context, signal }, policy);
      if (decision === undefined) return null;
      if (decision.action === "block") return decision.hazard;
      onWarning?.(toWarning("output", decision));
      return null;
    };
    return new StreamCheck({ scanner, check });
  }

  /**
   * What every layer finds in a text that somebody wrote, without deciding.
   * @throws whatever a moderator throws
   */
  async assess(
    text: string,
    signal: AbortSignal,
    images: readonly string[] = [],
  ): Promise<{ readonly lexical: string | undefined; readonly found: readonly Assessment[] }> {
    const lexical = (await this.#scan(text, "input")) ?? (await this.#scan(text, "output"));
    const turns: readonly GuardTurn[] = [{ role: "user", content: text }];
    const passage = { stage: "input", turns, text: "", context: "", signal } as const;
    const { images: eyes } = this.#options;
    if (images.length > 0 && eyes === undefined) throw new RangeError("nothing looks at pictures");
    // A picture may come without a word.
    const readers = text === "" && images.length > 0 ? [] : this.#moderators;
    const found = await Promise.all([
      ...readers.map((moderator) => moderator.check(passage)),
      ...images.map((url) => eyes?.check(url, signal) ?? []),
    ]);
    return { lexical, found: found.flat() };
  }

  /** What a policy leads to about one finding, below the operator's ceiling. */
  decide(policy: GuildPolicy, found: Assessment): Decision {
    return decide(policy, found, this.#options.ceiling);
  }

  /** Whether a single token may be shown by itself, among the alternatives of log-probabilities. */
  isTokenClean(token: string): boolean {
    return scanText(this.#options.lexicon, "output", token) === undefined;
  }

  /** Scans in slices, so that a long text does not hold up the streams of others. */
  async #scan(text: string, stage: Stage): Promise<string | undefined> {
    const scanner = new LexicalScanner(this.#options.lexicon, stage);
    for (let from = 0; from < text.length; from += SLICE_CHARACTERS) {
      if (from > 0) await setImmediate();
      const found = firstMatch(scanner.push(text.slice(from, from + SLICE_CHARACTERS)));
      if (found !== undefined) return found;
    }
    return firstMatch(scanner.finish());
  }

  /**
   * What pictures lead to. The lexical layer reads none, so that nothing stands in for a check that cannot run; and
   * what moderators decided about a question they decided about its words.
   */
  async #look(
    urls: readonly string[],
    signal: AbortSignal,
    policy: GuildPolicy,
  ): Promise<Decision | undefined> {
    const { images } = this.#options;
    if (images === undefined || urls.length === 0) return undefined;
    try {
      const found = await Promise.all(urls.map((url) => images.check(url, signal)));
      const undecided = { ...policy, decided: undefined };
      const marked = found
        .flat()
        .map((one) => this.decide(undecided, one))
        .filter(({ action }) => action !== "allow");
      return marked.length === 0 ? undefined : strictest(marked);
    } catch (error) {
      signal.throwIfAborted();
      this.#options.onFailure(images.name, error);
      return UNCHECKED;
    }
  }

  /** The strictest of what the moderators' findings lead to; undefined where nothing is to be done. */
  async #ask(passage: Passage, policy: GuildPolicy): Promise<Decision | undefined> {
    const decisions: Decision[] = [];
    for (const moderator of this.#moderators) {
      const decided = await this.#askOne(moderator, passage, policy);
      decisions.push(...decided);
      if (decided.some(({ action }) => action === "block")) break;
    }
    const marked = decisions.filter(({ action }) => action !== "allow");
    return marked.length === 0 ? undefined : strictest(marked);
  }

  async #askOne(
    moderator: Moderator,
    passage: Passage,
    policy: GuildPolicy,
  ): Promise<readonly Decision[]> {
    try {
      return (await moderator.check(passage)).map((found) => this.decide(policy, found));
    } catch (error) {
      passage.signal.throwIfAborted();
      this.#options.onFailure(moderator.name, error);
      if (this.#options.failOpen === true) return [];
      return [UNCHECKED];
    }
  }
}

/** The block of a category, with its sentence for people. */
export function toBlock(stage: Stage, category: string, policy: GuildPolicy): Block {
  const isPlea = category === "S11" && stage === "input";
  return {
    stage,
    category,
    reason: isPlea ? supportText(policy.locale) : reasonFor(category, stage),
  };
}

function withProbability(block: Block, { hazard, probability }: Decision): Block {
  return hazard === "unchecked" ? block : { ...block, probability };
}

function toWarning(stage: Stage, { hazard, severity, probability }: Decision): Warning {
  return { stage, category: hazard, severity, probability };
}

function imagesIn(messages: readonly PromptMessage[]): readonly string[] {
  return messages.flatMap((message) => {
    const parts = message.role === "user" ? (message.parts ?? []) : [];
    return parts.flatMap((part) => (part.type === "image" ? [part.url] : []));
  });
}

function turnsOf(messages: readonly PromptMessage[]): readonly GuardTurn[] {
  return messages.flatMap((message): GuardTurn[] => {
    const { role, content } = message;
    if (role === "system") return [];
    // What a tool found was written by anybody: it is held to the rules for people.
    if (role !== "assistant") return [{ role: "user", content }];
    const calls = (message.toolCalls ?? []).map(
      (call) => `${call.name} ${plainJsonText(call.arguments)}`,
    );
    return [{ role, content: [content, ...calls].filter((text) => text !== "").join("\n") }];
  });
}
