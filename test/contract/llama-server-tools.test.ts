/**
 * Tools and a real llama-server: by a template that has a place for them, and by the small model's own, which has none.
 * Which call a small model would make is chance, so it is what the server is told that is looked at here; how calls
 * come back is test/engine/service/tools.test.ts.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRemoteBackend } from "#engine/backends/remote/remote.ts";
import { systemClock } from "#engine/base/clock.ts";
import { temporaryFolder } from "../engine/adapters/adapter-fixture.ts";
import { ask, request } from "../engine/backends/ask.ts";
import { post, serve } from "../engine/service/test-service.ts";
import { type ContractModel, contractModel } from "./contract-model.ts";
import { MISSING, type RunningServer, startLlamaServer } from "./running-llama-server.ts";

/** As Hermes' models have it, with Zephyr's marks. */
const TEMPLATE = `{%- if tools %}<|system|>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
To call one, write <tool_call>
{"name": <function>, "arguments": <object>}
</tool_call>{{ eos_token }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}<|user|>
<tool_response>
{{ message.content }}
</tool_response>{{ eos_token }}
{%- elif message.tool_calls %}<|assistant|>
{{ message.content or '' }}
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}{{ eos_token }}
{%- else %}<|{{ message.role }}|>
{{ message.content }}{{ eos_token }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>
{% endif %}`;

const weather = {
  name: "weather",
  description: "How the weather is",
  parameters: { type: "object" },
};
const tools = { functions: [weather], choice: "auto" as const };
const turns = [
  { role: "user" as const, content: "Tell me about the weather in Paris." },
  {
    role: "assistant" as const,
    content: "",
    toolCalls: [{ id: "call_1", name: "weather", arguments: '{"city":"Paris"}' }],
  },
  { role: "tool" as const, content: "It rains.", toolCallId: "call_1" },
];

let model: ContractModel;
const servers: RunningServer[] = [];

async function start(...more: string[]) {
  const server = await startLlamaServer(model.path, more);
  servers.push(server);
  return openRemoteBackend({
    url: server.url,
    kind: "llama-server",
    contextTokens: 512,
    streams: 2,
    clock: systemClock,
  });
}

describe.skipIf(MISSING !== undefined)(MISSING ?? "llama-server with tools", () => {
  beforeAll(() => {
    model = contractModel();
  });
  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  });

  it("takes calls, what came of them, and functions, where its template has a place for them", async () => {
    const path = join(temporaryFolder(), "tools.jinja");
    writeFileSync(path, TEMPLATE);
    await using backend = await start("--jinja", "--chat-template-file", path);
    expect(backend.info).toMatchObject({ tools: { can: true }, images: { can: false } });
    const { topLogprobs: _, ...asked } = request("", { messages: turns, tools, maxTokens: 8 });
    const { text, end } = await ask(backend, asked);
    expect(text).not.toBe("");
    expect(["stop", "length"]).toContain(end.reason);
  }, 60_000);

  it("is not asked where it says that its template has none: the caller is told", async () => {
    await using backend = await start();
    expect(backend.info.tools.can).toBe(false);
    const { service, url } = await serve(backend);
    const functions = [{ type: "function", function: weather }];
    const response = await post(url, { messages: [turns[0]], tools: functions });
    expect(response.status).toBe(400);
    expect((await response.json()).error.message).toContain("has no place for tools");
    await service.drain(0);
  }, 60_000);
});
