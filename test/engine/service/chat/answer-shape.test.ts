/** `response_format`, `grammar` and `tools` over HTTP, by the official client. */
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { answer, ask, post, startScripted } from "../test-service.ts";

const schema = {
  type: "object",
  properties: { mood: { enum: ["good", "bad"] } },
  required: ["mood"],
  additionalProperties: false,
};

describe("the shape of an answer", () => {
  it("reaches the backend as the schema that the official client sends", async () => {
    const { url, backend } = await startScripted({ script: answer('{"mood":"good"}') });
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const { choices } = await openai.chat.completions.create({
      model: "scripted",
      messages: [{ role: "user", content: "how are you?" }],
      response_format: { type: "json_schema", json_schema: { name: "mood", strict: true, schema } },
    });
    expect(JSON.parse(choices[0]?.message.content ?? "")).toEqual({ mood: "good" });
    expect(backend.runs[0]?.request.shape).toEqual({ type: "json", schema });
  });

  it("may be any JSON object, GBNF, or nothing in particular", async () => {
    const { url, backend } = await startScripted({ script: answer("{}") });
    for (const more of [
      { response_format: { type: "json_object" } },
      { grammar: 'root ::= "{}"' },
      { response_format: { type: "text" }, tools: [], tool_choice: "none" },
    ]) {
      expect((await post(url, ask("hi", more))).status).toBe(200);
    }
    expect(backend.runs.map(({ request }) => request.shape)).toEqual([
      { type: "json", schema: null },
      { type: "grammar", gbnf: 'root ::= "{}"' },
      undefined,
    ]);
  });

  it.each([
    [{ response_format: { type: "xml" } }, "response_format.type"],
    [{ response_format: { type: "json_schema" } }, "response_format.json_schema"],
    [
      { response_format: { type: "json_schema", json_schema: { schema: { pattern: "x" } } } },
      "response_format.json_schema",
    ],
    [{ grammar: "x".repeat(20_000) }, "grammar"],
    [{ grammar: "root ::= <[1]>" }, "grammar"],
    [{ grammar: "root ::= [^\\x00-\\U0010FFFF]" }, "grammar"],
    [{ grammar: 'root ::= "a"', response_format: { type: "json_object" } }, "grammar"],
    [{ tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
  ])("%j is refused before anything is generated", async (more, param) => {
    const { url, backend } = await startScripted();
    const response = await post(url, ask("hi", more));
    expect(response.status).toBe(400);
    expect((await response.json()).error.param).toBe(param);
    expect(backend.runs).toHaveLength(0);
  });
});
