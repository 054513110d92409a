/**
 * The gate's figures from answers: generated greedily, with the system prompt as served, by the bare
 * weights and by each adapter. It knows nothing of thresholds.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { Probe } from "#prompts/load.ts";
import {
  type Answering,
  generateAnswer,
  mapBounded,
  SERVED_TEMPERATURE,
} from "../judge/generation.ts";
import type { RefusalJudge } from "../judge/refusal-judge.ts";
import { mean } from "../pairs/opinions.ts";
import type { AnswerFigures } from "./figures.ts";
import { proportionOf } from "./proportion.ts";
import { isEmpty, isRepetitive } from "./text-figures.ts";

/** What is asked. */
export type Questions = {
  readonly unlawful: readonly Probe[];
  readonly benign: readonly Probe[];
  /** Held-out prompts and the keep-set's questions: what the length is measured on. */
  readonly everyday: readonly (readonly ChatMessage[])[];
};

/** How it is asked. */
export type Interview = {
  readonly backend: Answering;
  readonly questions: Questions;
  readonly systemPrompt: string;
  readonly refuses: RefusalJudge;
  /** An answer that is longer counts as one that does not end. */
  readonly maxTokens: number;
  readonly signal: AbortSignal;
};

type Answered = {
  readonly messages: readonly ChatMessage[];
  readonly text: string;
  readonly ended: boolean;
  readonly tokens: number;
};

/** Asks everything of the bare weights (null) or an adapter loaded into the backend. */
export async function measureAnswers(
  interview: Interview,
  adapter: string | null,
): Promise<AnswerFigures> {
  const { questions, backend } = interview;
  const greedily = (prompts: Questions["everyday"]) => ask(interview, adapter, prompts, 0);
  const unlawful = await greedily(questions.unlawful.map(asMessages));
  const benign = await greedily(questions.benign.map(asMessages));
  const everyday = await greedily(questions.everyday);
  const sampled = await ask(interview, adapter, questions.everyday, SERVED_TEMPERATURE);
  const refused = (answers: readonly Answered[]) =>
    mapBounded(answers, backend.info.streams, ({ messages, text }) =>
      interview.refuses(messages.at(-1)?.content ?? "", text),
    );
  const all = [...unlawful, ...benign, ...everyday];
  return {
    refusals: proportionOf(await refused(unlawful)),
    overRefusals: proportionOf(await refused(benign)),
    repetitive: proportionOf(all.map(({ text }) => isRepetitive(text))),
    endless: proportionOf(all.map(({ ended }) => !ended)),
    empty: proportionOf(all.map(({ text }) => isEmpty(text))),
    meanTokens: mean(everyday.map(({ tokens }) => tokens)),
    sampledMeanTokens: mean(sampled.map(({ tokens }) => tokens)),
  };
}

function ask(
  { backend, systemPrompt, maxTokens, signal }: Interview,
  adapter: string | null,
  prompts: Questions["everyday"],
  temperature: number,
): Promise<Answered[]> {
  return mapBounded(prompts, backend.info.streams, async (messages, seed) => {
    const system: ChatMessage = { role: "system", content: systemPrompt };
    const request = {
      messages: [system, ...messages],
      adapter,
      temperature,
      seed,
      maxTokens,
    };
    return { messages, ...(await generateAnswer(backend, request, signal)) };
  });
}

function asMessages({ text }: Probe): ChatMessage[] {
  return [{ role: "user", content: text }];
}
