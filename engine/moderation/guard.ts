/**
 * The guard layer: asks a guard model about what people wrote and what is answered.
 * Every message of people is judged, the last one in its context; a text too long for the model is judged
 * in halves. It knows no policy, and not where the model runs.
 */
import { createHash } from "node:crypto";
import type { GenerateEvent } from "../backends/backend.ts";
import { isCoded } from "../base/errors.ts";
import type { GuardFormat, GuardTurn } from "./guard-format.ts";
import { type GuardVerdict, readVerdict } from "./guard-verdict.ts";
import type { Assessment, Moderator, Passage } from "./moderator.ts";
import { isDisguised, plainReading } from "./normalise.ts";
import { VerdictCache } from "./verdict-cache.ts";

/** Answers a guard's prompt greedily, with log-probabilities of each token and its alternatives. */
export interface GuardModel {
  /** For people: which model, and where. */
  readonly name: string;
  /** Iterating to the end is not required. @throws CodedError `prompt_too_long` */
  ask(
    format: GuardFormat,
    turns: readonly GuardTurn[],
    signal: AbortSignal,
  ): AsyncIterable<GenerateEvent>;
}

/** Verdicts kept: about one conversation's messages for each of many conversations. */
const KEPT_VERDICTS = 4096;
/** Context of the judged message; a guard's own context is small. */
const CONTEXT_TURNS = 4;
const CONTEXT_CHARACTERS = 1200;
const JUDGED_AT_ONCE = 16;
/** A text this short that does not fit has no room at all. */
const HALVED_CHARACTERS = 64;
/** A hung guard model must not hold an answer for longer. */
const PATIENCE_MS = 30_000;
/** Sexual content with one of these is S4, whatever the guard calls it: Qwen3Guard has no word for that. */
const MINORS =
  /\b(child(ren|s)?|kids?|minors?|under-?age(d)?|pre-?teens?|toddlers?|infants?|school-?(girls?|boys?)|lolis?|shotas?|(little|young) (girls?|boys?)|(?:[1-9]|1[0-7])[ -]?(?:yo|y\/o|years?[ -]old))\b/i;

/** A guard model as a moderator. */
export class Guard implements Moderator {
  readonly name: string;
  readonly #model: GuardModel;
  readonly #format: GuardFormat;
  readonly #verdicts = new VerdictCache<GuardVerdict>(KEPT_VERDICTS);

  constructor(model: GuardModel, format: GuardFormat) {
    this.name = model.name;
    this.#model = model;
    this.#format = format;
  }

  async check(passage: Passage): Promise<readonly Assessment[]> {
    const conversations = (
      passage.stage === "input"
        ? judgedInputs(passage.turns)
        : [[...questionOf(passage.turns), answerTurn(passage)]]
    ).flatMap(inEachReading);
    const signal = AbortSignal.any([passage.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const found: Assessment[] = [];
    // A conversation of hundreds of messages must not fill the guard's own queue.
    for (let from = 0; from < conversations.length; from += JUDGED_AT_ONCE) {
      const some = conversations.slice(from, from + JUDGED_AT_ONCE);
      const verdicts = await Promise.all(some.map((turns) => this.#judge(turns, signal)));
      found.push(...verdicts.map((verdict, index) => withMinors(verdict, some[index] ?? [])));
    }
    return found;
  }

  /** The worst verdict on the last turn's parts, each as long as the model can read. */
  async #judge(turns: readonly GuardTurn[], signal: AbortSignal): Promise<GuardVerdict> {
    const key = createHash("sha256").update(this.#format.prompt(turns)).digest("base64");
    try {
      return await this.#verdicts.get(key, () => this.#ask(turns, signal));
    } catch (error) {
      const last = turns.at(-1);
      if (!isCoded(error, "prompt_too_long") || last === undefined) throw error;
      if (turns.length > 1) return this.#judge([last], signal);
      if (last.content.length <= HALVED_CHARACTERS) throw error;
      const halves = halve(last.content).map((content) =>
        this.#judge([{ ...last, content }], signal),
      );
      return worst(await Promise.all(halves));
    }
  }

  async #ask(turns: readonly GuardTurn[], signal: AbortSignal): Promise<GuardVerdict> {
    try {
      return await readVerdict(this.#model.ask(this.#format, turns, signal), this.#format);
    } catch (error) {
      // An answer that was cut off has no verdict, but that is not what went wrong.
      signal.throwIfAborted();
      throw error;
    }
  }
}

/**
 * A conversation as it was typed, and where its last turn hides words from models (b0mb, b o m b, bоmb), with the
 * words that people read in it as well: what is found in either counts.
 */
function inEachReading(turns: readonly GuardTurn[]): readonly (readonly GuardTurn[])[] {
  const last = turns.at(-1);
  if (last === undefined || !isDisguised(last.content)) return [turns];
  return [[...turns.slice(0, -1), { ...last, content: plainReading(last.content) }], turns];
}

/** The last message of people in its context, and each earlier one by itself. */
function judgedInputs(turns: readonly GuardTurn[]): readonly (readonly GuardTurn[])[] {
  const last = turns.findLastIndex(({ role }) => role === "user");
  if (last < 0) return [];
  const earlier = turns.slice(0, last).filter(({ role }) => role === "user");
  return [...earlier.map((turn) => [turn]), contextOf(turns.slice(0, last + 1))];
}

/** The last turn with what fits of those before it. */
function contextOf(turns: readonly GuardTurn[]): readonly GuardTurn[] {
  const kept: GuardTurn[] = [];
  let characters = 0;
  for (const turn of turns.slice(-1 - CONTEXT_TURNS).toReversed()) {
    if (kept.length > 0) characters += turn.content.length;
    if (characters > CONTEXT_CHARACTERS) break;
    kept.unshift(turn);
  }
  // Guards' templates begin with a person's turn.
  const first = kept.findIndex(({ role }) => role === "user");
  return kept.slice(Math.max(0, first));
}

function questionOf(turns: readonly GuardTurn[]): readonly GuardTurn[] {
  const question = turns.findLast(({ role }) => role === "user");
  if (question === undefined) return [];
  return [{ ...question, content: question.content.slice(-CONTEXT_CHARACTERS) }];
}

function answerTurn({ context, text }: Passage): GuardTurn {
  return { role: "assistant", content: context + text };
}

/** Two parts that overlap, so that nothing is cut apart unseen. */
function halve(text: string): readonly [string, string] {
  const middle = Math.ceil(text.length / 2);
  const overlap = Math.min(HALVED_CHARACTERS / 4, Math.floor(middle / 4));
  return [text.slice(0, middle + overlap), text.slice(middle - overlap)];
}

function worst(verdicts: readonly GuardVerdict[]): GuardVerdict {
  const [first, ...rest] = verdicts;
  if (first === undefined) throw new RangeError("expected at least one verdict, got none");
  const most = rest.reduce((a, b) => (a.probabilities.safe <= b.probabilities.safe ? a : b), first);
  return { ...most, hazards: [...new Set(verdicts.flatMap(({ hazards }) => hazards))] };
}

function withMinors(verdict: GuardVerdict, turns: readonly GuardTurn[]): Assessment {
  const text = turns.map(({ content }) => content).join("\n");
  const isSexual = verdict.hazards.some((hazard) => hazard === "S12" || hazard === "S3");
  if (!isSexual || !MINORS.test(text)) return verdict;
  return { ...verdict, hazards: [...new Set([...verdict.hazards, "S4" as const])] };
}
