/**
 * A remote server's streamed chat answer as the backends' events. It reads OpenAI's wire, with what
 * vLLM, llama-server, Ollama, LM Studio and text-generation-webui make of it. It sends nothing.
 */
import { createParser } from "eventsource-parser";
import { z } from "zod";
import type { GenerateEvent, TokenLogprob } from "../backend.ts";
import { CallReader, callDelta } from "./call-stream.ts";

const token = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number()).nullish(),
});
const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({ content: z.string().nullish(), tool_calls: z.array(callDelta).nullish() })
          .nullish(),
        finish_reason: z.string().nullish(),
        logprobs: z
          .object({
            content: z.array(token.extend({ top_logprobs: z.array(token).nullish() })).nullish(),
          })
          .nullish(),
      }),
    )
    .default([]),
  usage: z
    .object({ prompt_tokens: z.number().nullish(), completion_tokens: z.number().nullish() })
    .nullish(),
  error: z.union([z.string(), z.object({ message: z.string() })]).nullish(),
});
type Chunk = z.infer<typeof chunkSchema>;
type WireToken = z.infer<typeof token>;

/** Stands for a token whose id the server does not tell. */
const UNTOLD_ID = -1;

/**
 * The events after `start`: text and pieces of calls, then one `end`.
 * @param newCallId names a call that the server leaves without a name
 * @throws Error when the stream breaks off or tells of an error
 */
export async function* readChatStream(
  body: AsyncIterable<Uint8Array>,
  newCallId: () => string,
): AsyncGenerator<GenerateEvent> {
  const calls = new CallReader(newCallId);
  let reason: "stop" | "length" | undefined;
  let pieces = 0;
  let completionTokens: number | undefined;
  for await (const chunk of chunksOf(body)) {
    failOn(chunk);
    completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
    for (const event of saidIn(chunk, calls)) {
      pieces += event.type === "text" ? event.tokenIds.length : 1;
      yield event;
    }
    reason = finishedBy(chunk) ?? reason;
  }
  if (reason === undefined) throw new Error("the stream ended before the answer did");
  // Servers differ in what they call the end of an answer that calls; one that was cut is none.
  const end = reason === "stop" && calls.count > 0 ? "tool_calls" : reason;
  yield { type: "end", reason: end, completionTokens: completionTokens ?? pieces };
}

function finishedBy({ choices }: Chunk): "stop" | "length" | undefined {
  const finished = choices[0]?.finish_reason;
  if (!finished) return undefined;
  return finished === "length" ? "length" : "stop";
}

function failOn({ error }: Chunk): void {
  const message = typeof error === "string" ? error : error?.message;
  if (message !== undefined) throw new Error(message.slice(0, 300));
}

function* saidIn(
  chunk: Chunk,
  calls: CallReader,
): Generator<Extract<GenerateEvent, { type: "text" | "tool" }>> {
  const text = toText(chunk);
  if (text !== undefined) yield text;
  for (const delta of calls.read(chunk.choices[0]?.delta?.tool_calls ?? [])) {
    yield { type: "tool", ...delta };
  }
}

async function* chunksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk> {
  const ready: Chunk[] = [];
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === "[DONE]") return;
      // What is no chunk is a vendor's own event; a stream without any is cut off, and told as such.
      const parsed = chunkSchema.safeParse(parseJson(data));
      if (parsed.success) ready.push(parsed.data);
    },
  });
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    yield* ready.splice(0);
  }
}

function toText(chunk: Chunk): Extract<GenerateEvent, { type: "text" }> | undefined {
  const [choice] = chunk.choices;
  const text = choice?.delta?.content ?? "";
  const told = choice?.logprobs?.content ?? undefined;
  if (text === "" && (told ?? []).length === 0) return undefined;
  const logprobs = told?.map(({ top_logprobs, ...chosen }) => ({
    ...toLogprob(chosen),
    top: (top_logprobs ?? []).map(toLogprob),
  }));
  const tokenIds = Array.from({ length: Math.max(1, logprobs?.length ?? 1) }, () => UNTOLD_ID);
  return { type: "text", text, tokenIds, ...(logprobs === undefined ? {} : { logprobs }) };
}

function toLogprob({ token: text, logprob, bytes }: WireToken): TokenLogprob {
  return { token: text, logprob, bytes: bytes ?? [...Buffer.from(text)] };
}

function parseJson(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
