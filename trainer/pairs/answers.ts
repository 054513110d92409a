/**
 * Rated answers, gathered by prompt. Pure: it decides which feedback may be used at all, and knows
 * nothing of which answer is better.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { LearningRefusal } from "#trainer/feedback/consent.ts";
import type { RecordedExchange } from "#trainer/feedback/recorded.ts";
import type { Source, StandingVote } from "#trainer/feedback/records.ts";
import { mean, type Opinion, opinionsOf } from "./opinions.ts";
import { type Drop, type DropReason, promptKey } from "./pair.ts";
import { withRegenerations } from "./regenerations.ts";

/** An answer's text with everything that people said of it, whoever got it. */
export type RatedAnswer = {
  readonly text: string;
  readonly candidateIds: readonly string[];
  readonly exchangeIds: readonly string[];
  readonly opinions: readonly Opinion[];
  /** Pseudonyms of all whose words led to it, sorted. */
  readonly personKeys: readonly string[];
  /** Mean points of its opinions. */
  readonly score: number;
  readonly atMs: number;
};

/** A prompt and its rated answers. */
export type RatedPrompt = {
  readonly key: string;
  readonly messages: readonly ChatMessage[];
  readonly answers: readonly RatedAnswer[];
};

/** What the log holds, as the pairs need it. */
export type Feedback = {
  readonly exchanges: Iterable<RecordedExchange>;
  readonly votes: readonly StandingVote[];
  /** Rated answers that were left where they are, counted by what stands against them. */
  readonly left?: Readonly<Partial<Record<DropReason, number>>>;
  /** Exchanges of which deletions, edits or votes may have been missed; none when left out. */
  readonly unsure?: ReadonlySet<string>;
  /** What stands against learning from these people's words or votes (`learningRefusal`). */
  readonly refusal: (from: {
    readonly source: Source;
    readonly guildId: string | null;
    readonly personKeys: readonly string[];
  }) => LearningRefusal | undefined;
};

type Usable = {
  readonly recorded: RecordedExchange;
  readonly candidate: RecordedExchange["candidates"][number];
  readonly opinions: readonly Opinion[];
};

/** Gathers the rated answers that may be used; equal texts for one prompt are one answer. */
export function ratedPrompts(feedback: Feedback): { prompts: RatedPrompt[]; drops: Drop[] } {
  const exchanges = [...feedback.exchanges];
  const votes = withRegenerations(feedback.votes, exchanges);
  const opinions = Map.groupBy(opinionsOf(votes), ({ candidateId }) => candidateId);
  const drops: Drop[] = [];
  const usable: Usable[] = [];
  for (const recorded of exchanges) {
    for (const candidate of recorded.candidates) {
      const said = opinions.get(candidate.id);
      if (said === undefined) continue;
      const permitted = said.filter(({ raterKey }) => mayUse(feedback, recorded, [raterKey]));
      const reason =
        whyUnusable(recorded, candidate, feedback) ??
        (permitted.length === 0 ? "no_rater_consent" : undefined);
      if (reason === undefined) usable.push({ recorded, candidate, opinions: permitted });
      else drops.push({ reason, candidateIds: [candidate.id] });
    }
  }
  const byPrompt = Map.groupBy(usable, ({ recorded }) => promptKey(recorded.exchange.messages));
  const prompts = [...byPrompt].map(([key, group]) => toPrompt(key, group));
  return { prompts: prompts.sort((a, b) => (a.key < b.key ? -1 : 1)), drops };
}

function whyUnusable(
  { exchange, deleted }: RecordedExchange,
  candidate: Usable["candidate"],
  feedback: Pick<Feedback, "refusal" | "unsure">,
): DropReason | undefined {
  if (deleted || candidate.deleted) return "deleted";
  if (feedback.unsure?.has(exchange.id) === true) return "not_caught_up";
  const { source, guildId } = exchange;
  const refusal = feedback.refusal({ source, guildId, personKeys: peopleIn(exchange) });
  if (refusal !== undefined) return refusal;
  const isAnswered = exchange.messages.at(-1)?.role === "user" && candidate.text.trim() !== "";
  const isWhole = candidate.finishReason === "stop" || candidate.finishReason === "length";
  return isAnswered && isWhole ? undefined : "not_finished";
}

function mayUse(
  { refusal }: Pick<Feedback, "refusal">,
  { exchange: { source, guildId } }: RecordedExchange,
  personKeys: readonly string[],
): boolean {
  return refusal({ source, guildId, personKeys }) === undefined;
}

function toPrompt(key: string, group: readonly Usable[]): RatedPrompt {
  const byText = Map.groupBy(group, ({ candidate }) => candidate.text.trim());
  const answers = [...byText].map(([text, same]) => toAnswer(text, same));
  const messages = group[0]?.recorded.exchange.messages ?? [];
  return {
    key,
    messages: messages.filter(({ role }) => role !== "system"),
    answers: answers.sort((a, b) => b.score - a.score || (a.text < b.text ? -1 : 1)),
  };
}

function toAnswer(text: string, same: readonly Usable[]): RatedAnswer {
  const opinions = same.flatMap((one) => one.opinions);
  return {
    text,
    candidateIds: same.map(({ candidate }) => candidate.id).sort(),
    exchangeIds: [...new Set(same.map(({ recorded }) => recorded.exchange.id))].sort(),
    opinions,
    personKeys: [...new Set(same.flatMap(({ recorded }) => peopleIn(recorded.exchange)))].sort(),
    score: mean(opinions.map(({ points }) => points)),
    atMs: Math.max(...same.map(({ candidate }) => candidate.createdAtMs)),
  };
}

/** Everyone whose words an exchange holds. */
function peopleIn({ authorKey, participantKeys = [] }: RecordedExchange["exchange"]): string[] {
  return [authorKey, ...participantKeys];
}
