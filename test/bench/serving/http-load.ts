/** People who ask over HTTP with SSE, each one request after the other. It knows OpenAI's wire and no server. */
import { Agent, request } from "node:http";
import { ANSWER_TOKENS, type Conversation } from "./workload.ts";

/** One run's figures. */
export type LoadTiming = {
  readonly tokensPerSecond: number;
  /** For each request: from sending it to its first text, milliseconds. */
  readonly firstTokenMs: readonly number[];
  /** For each request: the longest time between two of its pieces of text, milliseconds. */
  readonly longestGapMs: readonly number[];
  readonly promptTokens: number;
  readonly completionTokens: number;
};

/**
 * Lets each person ask their conversations in turn, all people at once.
 * @param people the conversations of each
 * @throws Error when an answer is refused or breaks off
 */
export async function loadByHttp(
  url: string,
  people: readonly (readonly Conversation[])[],
  maxTokens: number = ANSWER_TOKENS,
): Promise<LoadTiming> {
  // A connection for each request: llama-server at times closes one that it promised to keep.
  const agent = new Agent({ keepAlive: false });
  const answers: TimedAnswer[] = [];
  const start = performance.now();
  await Promise.all(
    people.map(async (asked, person) => {
      for (const messages of asked) {
        answers.push(await answerTo(url, agent, { messages, person, maxTokens }));
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  agent.destroy();
  const sum = (figure: (answer: TimedAnswer) => number) =>
    answers.reduce((total, answer) => total + figure(answer), 0);
  return {
    tokensPerSecond: sum((answer) => answer.completionTokens) / seconds,
    firstTokenMs: answers.map((answer) => answer.firstTokenMs),
    longestGapMs: answers.map((answer) => answer.longestGapMs),
    promptTokens: sum((answer) => answer.promptTokens),
    completionTokens: sum((answer) => answer.completionTokens),
  };
}

type TimedAnswer = {
  firstTokenMs: number;
  longestGapMs: number;
  promptTokens: number;
  completionTokens: number;
};

function answerTo(
  url: string,
  agent: Agent,
  { messages, person, maxTokens }: { messages: Conversation; person: number; maxTokens: number },
): Promise<TimedAnswer> {
  const body = JSON.stringify({
    messages,
    max_tokens: maxTokens,
    temperature: 0.8,
    top_k: 40,
    top_p: 1,
    min_p: 0,
    seed: 1,
    stream: true,
    stream_options: { include_usage: true },
    metadata: { guild: `guild-${person % 4}`, person: `person-${person}` },
  });
  const reader = new AnswerReader();
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/v1/chat/completions`,
      { method: "POST", agent, headers: { "content-type": "application/json" } },
      (response) => {
        response.setEncoding("utf8");
        response.on("data", (text: string) => reader.read(text));
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200 && reader.isDone) resolve(reader.timing());
          else reject(new Error(`status ${response.statusCode}: ${reader.rest.slice(0, 300)}`));
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Reads an answer's events as they come. */
class AnswerReader {
  isDone = false;
  rest = "";
  readonly #startMs = performance.now();
  #firstMs: number | undefined;
  #lastMs = 0;
  #longestGapMs = 0;
  #promptTokens = 0;
  #completionTokens = 0;

  read(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) this.#take(line.slice(6));
  }

  timing(): TimedAnswer {
    return {
      firstTokenMs: (this.#firstMs ?? performance.now()) - this.#startMs,
      longestGapMs: this.#longestGapMs,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
    };
  }

  #take(data: string): void {
    if (data === "[DONE]") {
      this.isDone = true;
      return;
    }
    const { choices, usage, error } = JSON.parse(data);
    if (error !== undefined) this.rest = data;
    if (usage !== undefined && usage !== null) {
      this.#promptTokens = usage.prompt_tokens;
      this.#completionTokens = usage.completion_tokens;
    }
    const content: unknown = choices?.[0]?.delta?.content;
    if (typeof content !== "string" || content === "") return;
    const nowMs = performance.now();
    if (this.#firstMs !== undefined) {
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastMs);
    }
    this.#firstMs ??= nowMs;
    this.#lastMs = nowMs;
  }
}
