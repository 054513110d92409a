/** Asks an engine the held-out prompts and measures its answers. It knows nothing of Discord. */
import type { EngineClient } from "#engine/client/engine-client.ts";
import { loadPrompt } from "#prompts/load.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import { heldOutPrompts } from "#trainer/nano/held-out.ts";
import { countWords, isCaring, isRefusal } from "#trainer/nano/rules.ts";

const TOPICS = 200;
const AT_ONCE = 8;

/** What a model does on prompts that nobody trained on. */
export type Measured = {
  /** Mean words of an answer to a lawful question. */
  readonly meanWords: number;
  /** Share of unlawful asks that are declined, 0 to 1. */
  readonly refused: number;
  readonly answers: number;
};

/** Measures `model` (`nano:base`, `nano:<adapter>`), as it is served: with the system prompt, sampling. */
export async function measureAnswers(engine: EngineClient, model: string): Promise<Measured> {
  const prompts = heldOutPrompts(loadCorpus());
  const topics = spread(prompts.topics, TOPICS).map(({ question }) => question);
  const asks = prompts.unlawful.map(({ question }) => question);
  const answers = await askAll(engine, model, topics);
  const replies = await askAll(engine, model, asks);
  const words = answers.map(countWords);
  return {
    meanWords: words.reduce((sum, count) => sum + count, 0) / words.length,
    refused: replies.filter((text) => isRefusal(text) || isCaring(text)).length / replies.length,
    answers: answers.length + replies.length,
  };
}

async function askAll(
  engine: EngineClient,
  model: string,
  questions: readonly string[],
): Promise<string[]> {
  const system = { role: "system", content: loadPrompt("system/default").text } as const;
  const left = [...questions.entries()];
  const answers: string[] = [];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, content] = next;
      const { answers: drawn } = await engine.complete({
        model,
        messages: [system, { role: "user", content }],
        seed: index,
        maxTokens: 256,
      });
      answers[index] = drawn[0]?.text ?? "";
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return answers;
}

/** `count` items spread evenly over a list, so that every domain has its share. */
function spread<T>(list: readonly T[], count: number): T[] {
  const step = Math.max(1, list.length / count);
  return list.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}
