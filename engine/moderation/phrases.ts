/**
 * Finds phrases of words in a text that arrives a word at a time, and tells from where a phrase may
 * still be completed: text before that point is safe to show. It knows no policy.
 *
 * A phrase is written as steps between spaces: `a|b` either word, `stem*` any word so beginning,
 * `?a|b` optional, `~3` up to three words of any kind, `@age` a number
 * below eighteen, `@ageyo` one with its unit (`12yo`).
 */

/** A phrase that must not stand; how to read `pattern` is told above. */
export type PhraseRule = {
  readonly category: string;
  readonly patterns: readonly string[];
  /** Words (or `stem*`) that, anywhere in the same sentence, show that the phrase is meant otherwise. */
  readonly unless?: readonly string[];
};

/** Where a phrase was found; offsets as the words gave them, end exclusive. */
export type PhraseMatch = {
  readonly category: string;
  readonly start: number;
  readonly end: number;
};

type Test = (readings: readonly string[]) => boolean;
type Step = { readonly test: Test; readonly optional: boolean; readonly gap: number };
type Phrase = {
  readonly category: string;
  readonly steps: readonly Step[];
  readonly unless?: Test;
};
/** A phrase begun: the next step, how many words its gap has swallowed, where it began. */
type Begun = {
  readonly phrase: Phrase;
  readonly step: number;
  readonly skipped: number;
  readonly start: number;
};
type Candidate = PhraseMatch & { readonly phrase: Phrase; readonly wordsLeft: number };

/** A sentence without an end is judged after this many words. */
const SENTENCE_WORDS = 40;
const CLASS_OR_STEM = /^@|\*$/;
/** More begun phrases than this at once come from no natural text; the oldest are dropped. */
const PARTIAL_LIMIT = 512;
const MINOR_AGE =
  /^(?:[1-9]|1[0-7]|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)$/;
const MINOR_AGE_YO = /^(?:[1-9]|1[0-7])(?:yo|yrs?old)$/;

/** Compiled phrases by what they begin with; immutable, shared by all readers. */
export type PhraseSet = {
  readonly byFirstWord: ReadonlyMap<string, readonly Phrase[]>;
  /** Those that begin with more than plain words. */
  readonly others: readonly Phrase[];
};

/** Compiles rules. @throws Error when a pattern has no words */
export function compilePhrases(rules: readonly PhraseRule[]): PhraseSet {
  const byFirstWord = new Map<string, Phrase[]>();
  const others: Phrase[] = [];
  for (const [pattern, rule] of rules.flatMap((r) => r.patterns.map((p) => [p, r] as const))) {
    const phrase = compilePhrase(pattern, rule);
    const firsts = (pattern.trim().split(/\s+/)[0] ?? "").split("|");
    for (const word of firsts.filter((first) => !CLASS_OR_STEM.test(first))) {
      byFirstWord.set(word, [...(byFirstWord.get(word) ?? []), phrase]);
    }
    if (firsts.some((first) => CLASS_OR_STEM.test(first))) others.push(phrase);
  }
  return { byFirstWord, others };
}

/** Follows one text through a phrase set. */
export class PhraseReader {
  readonly #phrases: PhraseSet;
  #partials: Begun[] = [];
  #candidates: Candidate[] = [];
  #sentence: string[] = [];

  constructor(phrases: PhraseSet) {
    this.#phrases = phrases;
  }

  /** From where a phrase may still come true; Infinity when nothing is open. */
  get openFrom(): number {
    const open = [...this.#partials, ...this.#candidates];
    return open.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY);
  }

  /** Reads one part of a word, under any of its readings. */
  read(readings: readonly string[], start: number, end: number): PhraseMatch | undefined {
    this.#sentence.push(...readings);
    if (this.#sentence.length > 4 * SENTENCE_WORDS) this.#sentence.splice(0, readings.length);
    const fresh = this.#beginning(readings).map((phrase) => ({
      phrase,
      step: 0,
      skipped: 0,
      start,
    }));
    const next: Begun[] = [];
    for (const partial of [...this.#partials, ...fresh]) {
      if (!this.#advance(partial, readings, next)) continue;
      const match = this.#complete(partial, end);
      if (match !== undefined) return match;
    }
    this.#partials = next.slice(-PARTIAL_LIMIT);
    return this.#age();
  }

  /** The sentence ends: what waited for its other words is judged, and no phrase spans two sentences. */
  endSentence(): PhraseMatch | undefined {
    const match = this.#candidates.find((candidate) => !this.#isExempt(candidate.phrase));
    this.#partials = [];
    this.#candidates = [];
    this.#sentence = [];
    return match;
  }

  /** The phrases that may begin with this word. */
  #beginning(readings: readonly string[]): Phrase[] {
    const { byFirstWord, others } = this.#phrases;
    const named = readings.flatMap((word) => byFirstWord.get(word) ?? []);
    return [...new Set([...named, ...others])];
  }

  /** Moves a partial on by a word into `next`; true when the phrase is complete. */
  #advance(partial: Begun, readings: readonly string[], next: Begun[]): boolean {
    const { steps } = partial.phrase;
    for (let index = partial.step; index < steps.length; index++) {
      const step = steps[index];
      if (step === undefined) return false;
      const skipped = index === partial.step ? partial.skipped : 0;
      // A gap comes before its step, so the first step never has one and matches only at its word.
      if (skipped < step.gap) next.push({ ...partial, step: index, skipped: skipped + 1 });
      if (step.test(readings)) {
        if (steps.slice(index + 1).every((later) => later.optional)) return true;
        next.push({ ...partial, step: index + 1, skipped: 0 });
      }
      if (!step.optional) return false;
    }
    return false;
  }

  #complete({ phrase, start }: Begun, end: number): PhraseMatch | undefined {
    const match = { category: phrase.category, start, end };
    if (phrase.unless === undefined) return match;
    if (!this.#isExempt(phrase)) {
      this.#candidates.push({ ...match, phrase, wordsLeft: SENTENCE_WORDS });
    }
    return undefined;
  }

  #isExempt(phrase: Phrase): boolean {
    return phrase.unless?.(this.#sentence) === true;
  }

  #age(): PhraseMatch | undefined {
    if (this.#candidates.length === 0) return undefined;
    this.#candidates = this.#candidates
      .filter((candidate) => !this.#isExempt(candidate.phrase))
      .map((candidate) => ({ ...candidate, wordsLeft: candidate.wordsLeft - 1 }));
    return this.#candidates.find((candidate) => candidate.wordsLeft <= 0);
  }
}

function compilePhrase(pattern: string, { category, unless }: PhraseRule): Phrase {
  const steps = compileSteps(pattern);
  if (steps.length === 0) throw new Error(`phrase pattern without words: "${pattern}"`);
  return { category, steps, ...(unless === undefined ? {} : { unless: wordTest(unless) }) };
}

function compileSteps(pattern: string): Step[] {
  const steps: Step[] = [];
  let gap = 0;
  for (const part of pattern.split(/\s+/).filter((text) => text !== "")) {
    if (/^~\d+$/.test(part)) gap = Number(part.slice(1));
    else {
      const optional = part.startsWith("?");
      steps.push({ test: wordTest(part.slice(optional ? 1 : 0).split("|")), optional, gap });
      gap = 0;
    }
  }
  return steps;
}

function wordTest(alternatives: readonly string[]): Test {
  const words = new Set(alternatives.filter((word) => !CLASS_OR_STEM.test(word)));
  const stems = alternatives.filter((word) => word.endsWith("*")).map((word) => word.slice(0, -1));
  const classes = [
    ...(alternatives.includes("@age") ? [MINOR_AGE] : []),
    ...(alternatives.includes("@ageyo") ? [MINOR_AGE_YO] : []),
  ];
  return (readings) =>
    readings.some(
      (word) =>
        words.has(word) ||
        stems.some((stem) => word.startsWith(stem)) ||
        classes.some((pattern) => pattern.test(word)),
    );
}
