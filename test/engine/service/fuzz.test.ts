/** Bodies that no client should send: each is refused by its field, or taken; nothing ever breaks. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseChatRequest } from "#engine/service/chat/chat-request.ts";
import { HttpProblem } from "#engine/service/http-problem.ts";
import { parseModerationRequest } from "#engine/service/moderations.ts";
import { answer, startScripted } from "./test-service.ts";

const BODIES = 5_000;
const FIELDS = [
  ...["model", "messages", "temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "stop"],
  ...["n", "stream", "stream_options", "logprobs", "top_logprobs", "metadata", "response_format"],
  ...["grammar", "tools", "tool_choice", "input"],
];
const message = fc.oneof(
  fc.record({
    role: fc.constantFrom("user", "assistant", "system", "tool"),
    content: fc.jsonValue(),
  }),
  fc.jsonValue(),
);
const nearly = fc.dictionary(
  fc.constantFrom(...FIELDS),
  fc.oneof(
    fc.jsonValue(),
    fc.array(message, { maxLength: 3 }),
    fc.constant({ type: "json_schema" }),
  ),
);
const body = fc.oneof(nearly, fc.jsonValue());

function isRefused(parse: () => unknown): boolean {
  try {
    parse();
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(HttpProblem);
    expect(error).toMatchObject({ status: 400, message: expect.stringMatching(/\.$/) });
    return true;
  }
}

describe("malformed bodies", () => {
  it("of a chat are refused with 400 or taken, 5,000 of them", () => {
    let refused = 0;
    fc.assert(
      fc.property(body, (value) => {
        if (isRefused(() => parseChatRequest(value))) refused += 1;
      }),
      { numRuns: BODIES },
    );
    expect(refused).toBeGreaterThan(BODIES / 2);
  });

  it("of a moderation are refused with 400 or taken, 5,000 of them", () => {
    fc.assert(
      fc.property(body, (value) => {
        isRefused(() => parseModerationRequest(value, true));
      }),
      { numRuns: BODIES },
    );
  });

  it("over HTTP get a 4xx in OpenAI's shape, and the engine answers on", async () => {
    const { url } = await startScripted({ script: answer("ok") });
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
    const sent = fc.oneof(
      bytes,
      fc.json().map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(
        sent,
        fc.constantFrom("chat/completions", "moderations"),
        async (data, path) => {
          const response = await fetch(`${url}/v1/${path}`, { method: "POST", body: data });
          const { error } = await response.json();
          expect(response.status).toBeGreaterThanOrEqual(400);
          expect(response.status).toBeLessThan(500);
          expect(error).toMatchObject({ message: expect.any(String), code: expect.any(String) });
        },
      ),
      { numRuns: 300 },
    );
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });
});
