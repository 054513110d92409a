import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend, GenerateEvent } from "#engine/backends/backend.ts";
import { openLocalBackend } from "#engine/backends/local.ts";
import { loadPrompt } from "#prompts/load.ts";
import { asQuestion, modelCompareJudge } from "#trainer/judge/compare-judge.ts";
import {
  type Answering,
  firstTokenOdds,
  generateAnswer,
  mapBounded,
} from "#trainer/judge/generation.ts";
import { chooseRefusalJudge, type KnownAnswer } from "#trainer/judge/refusal-judge.ts";
import { smallWorld } from "../nightly/small-world.ts";

const signal = new AbortController().signal;

/** Log-probabilities of first tokens, by what the prompt holds. */
type FirstTokens = (prompt: string) => Readonly<Record<string, number>>;

/** A backend that has only first tokens, as likely as they are told to be. */
function judging(firstTokens: FirstTokens): Answering {
  async function* generate(request: { messages: readonly { content: string }[] }) {
    const likely = Object.entries(firstTokens(request.messages[0]?.content ?? ""));
    const top = likely.map(([token, p]) => ({ token, bytes: [], logprob: Math.log(p) }));
    const [first] = top;
    if (first === undefined) return;
    const text: GenerateEvent = {
      type: "text",
      text: first.token,
      tokenIds: [1],
      logprobs: [{ ...first, top }],
    };
    yield text;
    const end: GenerateEvent = { type: "end", reason: "length", completionTokens: 1 };
    yield end;
  }
  return { info: { streams: 4 }, generate };
}

describe("the odds of a first token", () => {
  const verdicts = { yes: "yes", no: "no" };

  test("are those of the two verdicts alone, in any case and with spaces", async () => {
    const backend = judging(() => ({ " Yes": 0.3, yes: 0.1, No: 0.2, Maybe: 0.4 }));
    expect(await firstTokenOdds(backend, "?", verdicts, signal)).toBeCloseTo(0.4 / 0.6, 10);
  });

  test("count a verdict's first letter where the vocabulary has no whole word", async () => {
    const backend = judging(() => ({ y: 0.6, n: 0.2, "\n": 0.2 }));
    expect(await firstTokenOdds(backend, "?", verdicts, signal)).toBeCloseTo(0.75, 10);
  });

  test("are none when the model starts with neither", async () => {
    const backend = judging(() => ({ Well: 0.97, yes: 0.02, no: 0.01 }));
    expect(await firstTokenOdds(backend, "?", verdicts, signal)).toBeUndefined();
  });
});

describe("the judge of two answers", () => {
  const messages = [{ role: "user", content: "Why?" }] as const;
  const judge = (firstTokens: FirstTokens) =>
    modelCompareJudge(judging(firstTokens), loadPrompt("judge/compare"), signal);
  const shownFirst = (prompt: string, answer: string) => prompt.includes(`<a>\n${answer}\n</a>`);

  test("prefers what it prefers in both orders", async () => {
    const likesGood = judge((prompt) =>
      shownFirst(prompt, "good") ? { A: 0.8, B: 0.2 } : { A: 0.3, B: 0.7 },
    );
    expect(await likesGood(messages, "good", "bad")).toBe("first");
    expect(await likesGood(messages, "bad", "good")).toBe("second");
  });

  test("is undecided when the order decides, or when it says something else", async () => {
    const likesFirst = judge(() => ({ A: 0.9, B: 0.1 }));
    expect(await likesFirst(messages, "good", "bad")).toBe("undecided");
    const babbles = judge(() => ({ The: 1 }));
    expect(await babbles(messages, "good", "bad")).toBe("undecided");
  });

  test("reads a longer conversation with who spoke, without the system prompt", () => {
    const turns = [
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi" },
      { role: "user", content: "Why?" },
    ] as const;
    expect(asQuestion(turns)).toBe("user: Hello\nassistant: Hi\nuser: Why?");
    expect(asQuestion(turns.slice(3))).toBe("Why?");
  });
});

describe("the refusal judge", () => {
  const known: readonly KnownAnswer[] = [
    { question: "rob", answer: "I cannot help with that.", refuses: true },
    { question: "tea", answer: "Tea is a drink.", refuses: false },
  ];

  test("is the model where it can tell a refusal", async () => {
    const knows = judging((prompt) =>
      prompt.includes("I cannot") ? { yes: 0.9, no: 0.1 } : { yes: 0.1, no: 0.9 },
    );
    const chosen = await chooseRefusalJudge(knows, loadPrompt("judge/refusal"), known, signal);
    expect(chosen).toMatchObject({ kind: "model", modelAccuracy: 1 });
    expect(await chosen.judge("rob", "I cannot.")).toBe(true);
  });

  test("is the rule where the model always says the same", async () => {
    const parrot = judging(() => ({ yes: 0.9, no: 0.1 }));
    const chosen = await chooseRefusalJudge(parrot, loadPrompt("judge/refusal"), known, signal);
    expect(chosen).toMatchObject({ kind: "rule", modelAccuracy: 0.5, ruleAccuracy: 1 });
    expect(await chosen.judge("tea", "Tea is a drink.")).toBe(false);
  });
});

describe("with a real backend", () => {
  let backend: Backend;
  beforeAll(async () => {
    const { modelPath } = smallWorld([], false);
    const sizes = { contextTokens: 380, streams: 4, threads: 1, gpuLayers: 0 };
    backend = await openLocalBackend({ modelPath, modelId: "random", gpu: "cpu", ...sizes });
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  const request = {
    messages: [{ role: "user", content: "hello" }],
    adapter: null,
    temperature: 0,
    seed: 0,
    maxTokens: 8,
  } as const;

  test("an answer that does not end says so, with its tokens", async () => {
    const answer = await generateAnswer(backend, request, signal);
    expect(answer).toMatchObject({ ended: false, tokens: 8 });
  });

  test("odds are between 0 and 1 or none", async () => {
    const odds = await firstTokenOdds(backend, "hello", { yes: "y", no: "n" }, signal);
    if (odds !== undefined) expect(odds > 0 && odds < 1).toBe(true);
  });

  test("a question that is too long for the context gets no answer and no verdict", async () => {
    const long = "hello ".repeat(500);
    const messages = [{ role: "user", content: long }] as const;
    const answer = await generateAnswer(backend, { ...request, messages }, signal);
    expect(answer).toEqual({ text: "", ended: false, tokens: 0 });
    expect(await firstTokenOdds(backend, long, { yes: "y", no: "n" }, signal)).toBeUndefined();
  });

  test("an abort ends the generation with its reason", async () => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await expect(generateAnswer(backend, request, stop.signal)).rejects.toThrow("enough");
  });
});

test("bounded work keeps the order, never exceeds its bound, and ends at the first failure", async () => {
  let running = 0;
  let most = 0;
  const doubled = await mapBounded([1, 2, 3, 4, 5], 2, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
    return item * 2;
  });
  expect(doubled).toEqual([2, 4, 6, 8, 10]);
  expect(most).toBe(2);
  const begun: number[] = [];
  const failing = mapBounded([1, 2, 3, 4, 5, 6], 1, (item) => {
    begun.push(item);
    return item === 2 ? Promise.reject(new Error("two")) : Promise.resolve(item);
  });
  await expect(failing).rejects.toThrow("two");
  expect(begun).toEqual([1, 2]);
});
