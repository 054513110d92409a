/**
 * How a completion looks to OpenAI's clients: one JSON object, or server-sent chunks.
 * It knows the wire alone; what it adds to OpenAI's fields is `adapter`, and `verdict` and `warnings` on a choice.
 */
import type { TokenLogprob } from "../../backends/backend.ts";
import type { ToolCall, ToolCallDelta } from "../../backends/prompt.ts";
import { type HttpProblem, problemBody } from "../http-problem.ts";
import type { ChoiceEvent, TokenChoice } from "./choice.ts";
import type { Completion } from "./completion.ts";

/** What all chunks of an answer, or its one object, have in common. */
export type AnswerHead = {
  readonly id: string;
  readonly createdS: number;
  readonly model: string;
  readonly fingerprint: string;
};

type WireUsage = { prompt_tokens: number; completion_tokens: number; total_tokens: number };
type End = Extract<ChoiceEvent, { type: "end" }>;

type Draft = { text: string; logprobs: TokenChoice[]; calls: ToolCall[]; end?: End };

/** Collects a completion into the one object of the JSON mode. */
export async function toJson(head: AnswerHead, completion: Completion): Promise<object> {
  const drafts = new Map<number, Draft>();
  for await (const event of completion.events) {
    if (event.type === "queued") continue;
    const draft = drafts.get(event.index) ?? { text: "", logprobs: [], calls: [] };
    drafts.set(event.index, draft);
    collect(draft, event.event);
  }
  const choices = [...drafts].sort(([a], [b]) => a - b);
  const tokens = choices.reduce((sum, [, { end }]) => sum + (end?.completionTokens ?? 0), 0);
  return {
    ...base(head, "chat.completion", completion.adapter),
    choices: choices.map(([index, draft]) => ({
      index,
      message: toMessage(draft),
      logprobs: formatLogprobs(draft.logprobs),
      finish_reason: draft.end?.reason ?? "stop",
      ...verdictOf(draft.end),
    })),
    usage: usageOf(completion, tokens),
  };
}

function collect(draft: Draft, event: ChoiceEvent): void {
  if (event.type === "end") draft.end = event;
  if (event.type === "tool") {
    const before = draft.calls[event.call] ?? { id: "", name: "", arguments: "" };
    const { id = before.id, name = before.name } = event;
    draft.calls[event.call] = { id, name, arguments: before.arguments + event.arguments };
  }
  if (event.type !== "text") return;
  draft.text += event.text;
  draft.logprobs.push(...event.logprobs);
}

function toMessage({ text, calls, end }: Draft): object {
  // Of a call that a check cut short nobody should carry out the half.
  const whole = end?.block === undefined ? calls : [];
  return {
    role: "assistant",
    content: text === "" && whole.length > 0 ? null : text,
    refusal: end?.block?.reason ?? null,
    ...(whole.length === 0
      ? {}
      : {
          tool_calls: whole.map(({ id, name, arguments: args }) => ({
            id,
            type: "function",
            function: { name, arguments: args },
          })),
        }),
  };
}

/** Writes a completion as server-sent events, `[DONE]` last. */
export async function* toEvents(
  head: AnswerHead,
  completion: Completion,
  options: { readonly includeUsage: boolean },
): AsyncGenerator<string> {
  const common = {
    ...base(head, "chat.completion.chunk", completion.adapter),
    ...(options.includeUsage ? { usage: null } : {}),
  };
  let tokens = 0;
  for await (const event of completion.events) {
    if (event.type === "queued") {
      yield `: queued position=${event.position} wait_ms=${event.waitMs}\n\n`;
      continue;
    }
    if (event.event.type === "end") tokens += event.event.completionTokens;
    yield data({ ...common, choices: [toDelta(event.index, event.event)] });
  }
  if (options.includeUsage) {
    yield data({ ...common, choices: [], usage: usageOf(completion, tokens) });
  }
  yield "data: [DONE]\n\n";
}

/** A problem that came after the stream began. */
export function toErrorEvent(problem: HttpProblem): string {
  return `event: error\n${data(problemBody(problem))}`;
}

function base(head: AnswerHead, object: string, adapter: string | null): Record<string, unknown> {
  return {
    id: head.id,
    object,
    created: head.createdS,
    model: head.model,
    system_fingerprint: head.fingerprint,
    adapter,
  };
}

function toDelta(index: number, event: ChoiceEvent): object {
  const open = { index, logprobs: null, finish_reason: null };
  if (event.type === "start") return { ...open, delta: { role: "assistant", content: "" } };
  if (event.type === "text") {
    return { ...open, delta: { content: event.text }, logprobs: formatLogprobs(event.logprobs) };
  }
  if (event.type === "tool") return { ...open, delta: { tool_calls: [toCallDelta(event)] } };
  const delta = event.block === undefined ? {} : { refusal: event.block.reason };
  return { ...open, delta, finish_reason: event.reason, ...verdictOf(event) };
}

function toCallDelta({ call, id, name, arguments: args }: ToolCallDelta): object {
  const head = id === undefined ? {} : { id, type: "function" };
  return {
    index: call,
    ...head,
    function: { ...(name === undefined ? {} : { name }), arguments: args },
  };
}

function verdictOf(end: End | undefined): Pick<End, "warnings"> & { verdict?: End["block"] } {
  return {
    ...(end?.block === undefined ? {} : { verdict: end.block }),
    ...(end?.warnings === undefined ? {} : { warnings: end.warnings }),
  };
}

function usageOf({ promptTokens }: Completion, tokens: number): WireUsage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens,
    total_tokens: promptTokens + tokens,
  };
}

function formatLogprobs(tokens: readonly TokenChoice[]): object | null {
  if (tokens.length === 0) return null;
  const content = tokens.map(({ top, ...token }) => ({
    ...formatToken(token),
    top_logprobs: top.map(formatToken),
  }));
  return { content, refusal: null };
}

function formatToken({ token, bytes, logprob }: TokenLogprob): object {
  // JSON has no infinity; -9999 is what OpenAI writes for "very unlikely".
  return { token, logprob: Number.isFinite(logprob) ? logprob : -9999, bytes };
}

function data(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
