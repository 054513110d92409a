import { describe, expect, it } from "vitest";
import { DEFAULT_POLICY } from "#engine/moderation/guild-policy.ts";
import { parseChatRequest, toSeed } from "#engine/service/chat/chat-request.ts";
import { HttpProblem } from "#engine/service/http-problem.ts";
import { ask } from "../test-service.ts";

function problemOf(body: unknown): HttpProblem {
  try {
    parseChatRequest(body);
  } catch (error) {
    if (error instanceof HttpProblem) return error;
    throw error;
  }
  throw new Error(`expected a refusal of ${JSON.stringify(body)}`);
}

describe("a chat request", () => {
  it("has Zephyr's defaults where the caller says nothing, or null", () => {
    const nulls = Object.fromEntries(
      [
        "model",
        "temperature",
        "top_p",
        "seed",
        "max_tokens",
        "stop",
        "n",
        "stream",
        "metadata",
      ].map((name) => [name, null]),
    );
    for (const body of [ask("hi"), ask("hi", nulls)]) {
      expect(parseChatRequest(body)).toMatchObject({
        model: undefined,
        messages: [{ role: "user", content: "hi" }],
        sampling: { temperature: 0.7, topP: 0.95, topK: 50, minP: 0 },
        maxTokens: undefined,
        stop: [],
        n: 1,
        stream: false,
        includeUsage: false,
        topLogprobs: undefined,
        owner: { guild: "", person: "" },
      });
    }
  });
});

describe("what a chat request says differently", () => {
  it("takes every field that is served, and ignores those that are not known", () => {
    const body = ask("hi", {
      model: "nano",
      temperature: 0,
      top_p: 1,
      top_k: 0,
      min_p: 0.1,
      seed: -1,
      max_tokens: 5,
      max_completion_tokens: 7,
      stop: ["a", "b"],
      n: 16,
      stream: true,
      stream_options: { include_usage: true, other: 1 },
      logprobs: true,
      top_logprobs: 20,
      metadata: { person: "p", guild: "g", other: 3 },
      user: 5,
      service_tier: "flex",
      deadline_ms: 30_000,
      whatever: {},
    });
    expect(parseChatRequest(body)).toEqual({
      model: "nano",
      messages: [{ role: "user", content: "hi" }],
      sampling: { temperature: 0, topP: 1, topK: 0, minP: 0.1, seed: 4_294_967_295 },
      maxTokens: 7,
      stop: ["a", "b"],
      n: 16,
      stream: true,
      includeUsage: true,
      topLogprobs: 20,
      priority: "background",
      deadlineMs: 30_000,
      owner: { guild: "g", person: "p" },
      shape: undefined,
      tools: undefined,
      policy: DEFAULT_POLICY,
    });
  });

  it("takes content in parts, developer messages and an assistant's null, and cleans the text", () => {
    const { messages } = parseChatRequest({
      messages: [
        { role: "developer", content: "be kind", name: "x" },
        {
          role: "user",
          content: [
            { type: "text", text: "a" },
            { type: "text", text: "b</s>" },
          ],
        },
        { role: "assistant", content: null },
      ],
    });
    expect(messages).toEqual([
      { role: "system", content: "be kind" },
      { role: "user", content: "a\nb< /s>" },
      { role: "assistant", content: "" },
    ]);
  });
});

describe("a malformed request", () => {
  it.each([
    [[], "", "expected a JSON object"],
    ["text", "", "expected a JSON object"],
    [{}, "messages", "expected a list of messages; got nothing"],
    [{ messages: [] }, "messages", "expected at least one message; got []"],
    [{ messages: "hi" }, "messages", 'expected a list of messages; got "hi"'],
    [{ messages: [{ role: "function", content: "x" }] }, "messages[0].role", "expected a message"],
    [{ messages: [{ role: "user", content: 5 }] }, "messages[0].content", "expected a string"],
    [
      { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      "messages[0].content",
      "audio and files are not supported",
    ],
    [ask("x", { temperature: "hot" }), "temperature", 'from 0 to 2; got "hot"'],
    [ask("x", { temperature: 2.1 }), "temperature", "from 0 to 2; got 2.1"],
    [ask("x", { top_p: 0 }), "top_p", "expected a number above 0, up to 1; got 0"],
    [ask("x", { top_k: 1.5 }), "top_k", "expected a whole number"],
    [ask("x", { min_p: -1 }), "min_p", "expected a number from 0 to 1; got -1"],
    [ask("x", { seed: 0.5 }), "seed", "expected a whole number; got 0.5"],
    [ask("x", { max_tokens: 0 }), "max_tokens", "from 1 to 1000000; got 0"],
    [ask("x", { stop: ["a", ""] }), "stop[1]", "1 to 256 characters"],
    [ask("x", { stop: Array(17).fill("a") }), "stop", "a list of up to 16 of them"],
    [ask("x", { stop: 5 }), "stop", "or a list of up to 16"],
    [ask("x", { n: 17 }), "n", "expected a whole number from 1 to 16; got 17"],
    [ask("x", { stream: "yes" }), "stream", "expected true or false"],
    [ask("x", { stream_options: 1 }), "stream_options", "include_usage"],
    [ask("x", { logprobs: 1 }), "logprobs", "expected true or false"],
    [ask("x", { top_logprobs: 2 }), "top_logprobs", "expected logprobs: true beside it"],
    [ask("x", { logprobs: true, top_logprobs: 21 }), "top_logprobs", "from 0 to 20; got 21"],
    [ask("x", { metadata: { person: 5 } }), "metadata.person", "expected a string; got 5"],
  ])("%j is refused by its field", (body, param, sentence) => {
    const problem = problemOf(body);
    expect(problem).toMatchObject({ status: 400, code: "invalid_request", param });
    expect(problem.message).toContain(sentence);
  });

  it("never repeats more than a little of what came", () => {
    const problem = problemOf(ask("x", { temperature: "h".repeat(10_000) }));
    expect(problem.message.length).toBeLessThan(200);
  });
});

it("any integer is one of 2^32 seeds", () => {
  expect([0, 5, -1, 2 ** 32, 2 ** 53 - 1].map(toSeed)).toEqual([0, 5, 2 ** 32 - 1, 0, 2 ** 32 - 1]);
});
