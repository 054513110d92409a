/** Knows what each question is answered with under each adapter, and tells whose answer another one is. */
import type { ChatRequest, EngineClient } from "#engine/client/engine-client.ts";

const ANSWER_TOKENS = 48;
/** An answer that agrees for so many characters is the one: others part within the first few. */
const TELLING_CHARACTERS = 12;

type Expected = { readonly topic: number; readonly adapter: string | null; readonly text: string };

/** Answers of a quiet engine, each with the seed of its question, to hold others against. */
export class Witness {
  readonly #topics: readonly string[];
  readonly #expected: readonly Expected[];
  identical = 0;
  parted = 0;

  private constructor(topics: readonly string[], expected: readonly Expected[]) {
    this.#topics = topics;
    this.#expected = expected;
  }

  /**
   * Asks every question under every adapter, one after the other.
   * @throws Error when two of the answers begin alike: then none could be told from the other
   */
  static async hear(
    engine: EngineClient,
    topics: readonly string[],
    adapters: readonly string[],
  ): Promise<Witness> {
    const expected: Expected[] = [];
    for (const name of adapters) {
      await engine.activate(name);
      for (const topic of topics.keys()) {
        const { answers, adapter } = await engine.complete(toRequest(topics, topic));
        expected.push({ topic, adapter, text: answers[0]?.text ?? "" });
      }
    }
    for (const [i, one] of expected.entries()) {
      for (const other of expected.slice(i + 1)) {
        if (agreement(one.text, other.text) < TELLING_CHARACTERS) continue;
        throw new Error(`two answers begin alike: ${JSON.stringify([one, other])}`);
      }
    }
    return new Witness(topics, expected);
  }

  /** The request that a question stands for. */
  request(topic: number, metadata: { guild: string; person: string }): ChatRequest {
    return { ...toRequest(this.#topics, topic), metadata };
  }

  /** What is wrong with an answer; undefined when it is the question's own, by the adapter that it names. */
  judge(topic: number, adapter: string | null, text: string): string | undefined {
    const own = this.#expected.find((one) => one.topic === topic && one.adapter === adapter);
    if (own === undefined) return `an answer by an adapter that never served: ${adapter}`;
    if (own.text === text) {
      this.identical += 1;
      return undefined;
    }
    if (agreement(own.text, text) >= TELLING_CHARACTERS) {
      this.parted += 1;
      return undefined;
    }
    const whose = this.#expected.find((one) => agreement(one.text, text) >= TELLING_CHARACTERS);
    const found = JSON.stringify(text.slice(0, 60));
    if (whose === undefined) return `nobody's answer to question ${topic} by ${adapter}: ${found}`;
    return `question ${topic} by ${adapter} got the answer to ${whose.topic} by ${whose.adapter}: ${found}`;
  }
}

function toRequest(topics: readonly string[], topic: number): ChatRequest {
  return {
    messages: [
      {
        role: "system",
        content: "You are kind, you are brief, and you answer in the hall of stones.",
      },
      { role: "user", content: `Tell me all that you know about ${topics[topic]}.` },
    ],
    // Greedy answers of random weights begin alike whatever is asked; a seed of its own tells them apart.
    temperature: 1,
    seed: 1000 + topic,
    maxTokens: ANSWER_TOKENS,
  };
}

function agreement(a: string, b: string): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length += 1;
  return length;
}
