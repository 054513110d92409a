/** Calls that a caller insists on, from the small model itself, whose template has no place for tools. */
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import type { Service } from "#engine/service/server.ts";
import { answer, post, readEvents, serve, startScripted } from "./test-service.ts";

const NANO = join(import.meta.dirname, "../../../deploy/models/nano/nano.gguf");
const fn = (name: string, parameters?: Record<string, unknown>) => ({
  type: "function" as const,
  function: { name, description: `What ${name} does`, ...(parameters ? { parameters } : {}) },
});
const weather = fn("weather", {
  type: "object",
  properties: { unit: { enum: ["celsius", "fahrenheit"] }, days: { type: "integer" } },
  required: ["unit", "days"],
  additionalProperties: false,
});
const time = fn("time");
const messages = [{ role: "user" as const, content: "Do I need an umbrella?" }];
const ask = { model: "nano", messages, tools: [weather, time], max_tokens: 200, seed: 3 };
const named = { type: "function" as const, function: { name: "weather" } };

let backend: LocalBackend;
let service: Service;
let openai: OpenAI;

beforeAll(async () => {
  backend = await openLocalBackend({
    modelPath: NANO,
    modelId: "nano",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 1024,
    streams: 2,
  });
  ({ service } = await serve(backend));
  openai = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(async () => {
  await service.drain(0);
  await backend[Symbol.asyncDispose]();
});

describe("a model without tools", () => {
  it("calls one of the functions where a call is required, with arguments of its schema", async () => {
    const { choices } = await openai.chat.completions.create({ ...ask, tool_choice: "required" });
    const [choice] = choices;
    expect(choice?.finish_reason).toBe("tool_calls");
    expect(choice?.message.content).toBeNull();
    const [call] = choice?.message.tool_calls ?? [];
    if (call?.type !== "function") throw new Error("expected a call of a function");
    expect(call.id).toMatch(/^call_[0-9a-f]{32}$/);
    expect(["weather", "time"]).toContain(call.function.name);
    expect(JSON.parse(call.function.arguments)).toBeTypeOf("object");
  });

  it("calls the function that is named, and no other, streamed as well", async () => {
    const stream = await openai.chat.completions.create({
      ...ask,
      tool_choice: named,
      stream: true,
    });
    let [name, args, reason] = ["", "", ""];
    for await (const { choices } of stream) {
      const [choice] = choices;
      for (const call of choice?.delta.tool_calls ?? []) {
        name += call.function?.name ?? "";
        args += call.function?.arguments ?? "";
      }
      expect(choice?.delta.content ?? "").toBe("");
      reason = choice?.finish_reason ?? reason;
    }
    expect([name, reason]).toEqual(["weather", "tool_calls"]);
    expect(JSON.parse(args)).toEqual({
      unit: expect.stringMatching(/^(celsius|fahrenheit)$/),
      days: expect.any(Number),
    });
  });

  it("makes no call of what was cut off", async () => {
    const cut = { ...ask, tool_choice: named, max_tokens: 4 };
    const { choices } = await openai.chat.completions.create(cut);
    expect(choices[0]).toMatchObject({ finish_reason: "length" });
    expect(choices[0]?.message.tool_calls ?? []).toEqual([]);
  });

  it.each([
    ["auto", {}, "tools", 'tool_choice "required"'],
    ["required", { response_format: { type: "json_object" } }, "response_format", "none beside"],
    [
      "required",
      { tools: [fn("odd", { type: "object", patternProperties: {} })] },
      "tools",
      "patternProperties",
    ],
  ])("refuses what it cannot do (%s, %j)", async (tool_choice, more, param, why) => {
    const response = await post(service.url, { ...ask, tool_choice, ...more });
    expect([response.status, (await response.json()).error]).toMatchObject([
      400,
      { param, message: expect.stringContaining(why) },
    ]);
  });
});

it("a forced call is checked before any of it leaves", async () => {
  const said = JSON.stringify({ name: "time", arguments: { text: "you fag\u0067ot" } });
  const { url, backend: scripted } = await startScripted({ script: answer(said) });
  const body = { messages, tools: [time], tool_choice: "required" };
  const { choices } = await (await post(url, body)).json();
  expect(choices[0].finish_reason).toBe("content_filter");
  expect(JSON.stringify(choices)).not.toContain("fag");
  const events = await readEvents(await post(url, { ...body, stream: true }));
  expect(JSON.stringify(events)).not.toContain("fag");
  const [{ request } = { request: undefined }] = scripted.runs;
  expect(request?.messages[0]).toMatchObject({ role: "system" });
  expect(request?.messages[0]?.content).toContain("- time: What time does");
});
