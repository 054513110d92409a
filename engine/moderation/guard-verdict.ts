/**
 * Reads a guard model's answer: how likely each verdict is, by the probability of its first token, and
 * which hazards the answer goes on to name. It runs no model and decides nothing.
 */
import type { GenerateEvent, TokenLogprob } from "../backends/backend.ts";
import { CodedError } from "../base/errors.ts";
import type { Hazard } from "./categories.ts";
import type { GuardFormat, Severity } from "./guard-format.ts";

/** What a guard found. */
export type GuardVerdict = {
  /** Adds up to 1. */
  readonly probabilities: Readonly<Record<Severity, number>>;
  /** Empty where the answer calls the text safe. */
  readonly hazards: readonly Hazard[];
};

/** Below this share of probability on the verdicts together, the model gave none. */
const VERDICT_MASS = 0.05;
/** So sure of `safe` that no threshold asks for the hazards; the answer need not be read on. */
const SURELY_SAFE = 0.99;

/**
 * Reads an answer drawn greedily with log-probabilities. It leaves the rest of a safe answer unread.
 * @throws CodedError `guard_failed` when the model gave no verdict
 */
export async function readVerdict(
  events: AsyncIterable<GenerateEvent>,
  format: GuardFormat,
): Promise<GuardVerdict> {
  let answer = "";
  let probabilities: GuardVerdict["probabilities"] | undefined;
  for await (const { top, ...token } of tokensOf(events)) {
    if (probabilities === undefined && token.token.trim() !== "" && format.lead.test(answer)) {
      probabilities = weigh([token, ...top], format);
    }
    answer += token.token;
    if (probabilities !== undefined && probabilities.safe > SURELY_SAFE) break;
  }
  if (probabilities === undefined) throw noVerdict(answer);
  return { probabilities, hazards: format.hazards(answer) };
}

async function* tokensOf(events: AsyncIterable<GenerateEvent>) {
  for await (const event of events) {
    if (event.type === "text") yield* event.logprobs ?? [];
  }
}

function weigh(
  candidates: readonly TokenLogprob[],
  { labels }: GuardFormat,
): GuardVerdict["probabilities"] {
  const weights = { safe: 0, controversial: 0, unsafe: 0 };
  const seen = new Set<string>();
  for (const { token, logprob } of candidates) {
    const text = token.trim();
    // The drawn token stands among its alternatives, too.
    if (text === "" || seen.has(token)) continue;
    seen.add(token);
    for (const [label, severity] of labels) {
      // A verdict may be several tokens long: its first piece stands for it.
      if (label.startsWith(text) || text.startsWith(label)) weights[severity] += Math.exp(logprob);
    }
  }
  const mass = weights.safe + weights.controversial + weights.unsafe;
  if (mass < VERDICT_MASS) throw noVerdict(candidates[0]?.token ?? "");
  return {
    safe: weights.safe / mass,
    controversial: weights.controversial / mass,
    unsafe: weights.unsafe / mass,
  };
}

function noVerdict(answer: string): CodedError {
  return new CodedError(
    `The guard model should have answered with a verdict; it began with ${JSON.stringify(answer.slice(0, 40))}. Check that GUARD_FORMAT fits GUARD_MODEL.`,
    { code: "guard_failed" },
  );
}
