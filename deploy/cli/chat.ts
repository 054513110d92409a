/**
 * `zephyr chat`: a conversation with the engine in the terminal, or one question. Nothing of it is
 * kept. It knows the engine by its HTTP client only.
 */
import { createInterface } from "node:readline/promises";
import type { ChatMessage } from "#engine/backends/backend.ts";
import { CodedError, isCoded } from "#engine/base/errors.ts";
import type { ChatChunk, EngineClient } from "#engine/client/engine-client.ts";
import { loadPrompt } from "#prompts/load.ts";

/** What a chat needs. */
export type ChatOptions = {
  readonly engine: EngineClient;
  /** `nano`, `nano:base`, `nano:<adapter>`; undefined takes what is served. */
  readonly model: string | undefined;
  readonly json: boolean;
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** Whether to show a prompt for each question. */
  readonly interactive: boolean;
};

/** Asks one question and prints the answer as it comes. @throws CodedError as EngineClient */
export async function askOnce(options: ChatOptions, question: string): Promise<void> {
  await ask(options, [{ role: "user", content: question }]);
}

/** Asks whatever is typed, line by line, until the input ends or `/exit`. */
export async function chat(options: ChatOptions): Promise<void> {
  const { input, output, interactive } = options;
  if (interactive) output.write("Ask something. /new begins anew, /exit or Ctrl-D ends.\n");
  const lines = createInterface({ input, ...(interactive ? { output } : {}), prompt: "> " });
  let messages: ChatMessage[] = [];
  if (interactive) lines.prompt();
  for await (const line of lines) {
    const question = line.trim();
    if (question === "/exit") break;
    if (question === "/new") messages = [];
    else if (question !== "") messages = await nextTurn(options, messages, question);
    if (interactive) lines.prompt();
  }
  lines.close();
}

async function nextTurn(
  options: ChatOptions,
  before: readonly ChatMessage[],
  question: string,
): Promise<ChatMessage[]> {
  const messages: ChatMessage[] = [...before, { role: "user", content: question }];
  try {
    const answer = await ask(options, messages);
    return [...messages, { role: "assistant", content: answer }];
  } catch (error) {
    if (!isCoded(error, "prompt_too_long") || before.length === 0) throw error;
    options.output.write("(The conversation no longer fits; starting anew with this question.)\n");
    return nextTurn(options, [], question);
  }
}

async function ask(options: ChatOptions, messages: readonly ChatMessage[]): Promise<string> {
  const system: ChatMessage = { role: "system", content: loadPrompt("system/default").text };
  const request = {
    messages: [system, ...messages],
    ...(options.model === undefined ? {} : { model: options.model }),
  };
  let answer = "";
  for await (const chunk of options.engine.chat(request)) {
    if (chunk.type === "text") answer += chunk.text;
    if (options.json) options.output.write(`${JSON.stringify(chunk)}\n`);
    else options.output.write(forPeople(chunk));
  }
  if (answer.trim() === "" && !options.json) options.output.write("(no answer)\n");
  return answer;
}

function forPeople(chunk: ChatChunk): string {
  if (chunk.type === "text") return chunk.text;
  if (chunk.type === "queued") return "";
  return chunk.verdict === undefined ? "\n" : `\n[${chunk.verdict.reason}]\n`;
}

/** The message for a terminal chat without an engine. */
export function noEngine(url: string): CodedError {
  return new CodedError(
    `No engine answers at ${url}. Start one by "npm start" in another terminal, or set ENGINE_URL.`,
    { code: "engine_unreachable" },
  );
}
