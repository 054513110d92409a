/** Two answers to one question, recorded as candidates of one exchange. It knows the engine by its client. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { ChatRequest } from "#engine/client/engine-client.ts";
import type { Exchange } from "#trainer/feedback/records.ts";
import { decidedAbout, engineMetadata } from "../answer/engine-metadata.ts";
import { answerTokens, questionText, systemPrompt } from "../answer/prompt.ts";
import type { AnsweringParts, Question } from "../answer/question.ts";
import { SAMPLING } from "../answer/sampling.ts";
import type { Verdict } from "../moderation/withheld.ts";

/** One of the two. */
type Drawn = {
  readonly candidateId: string;
  readonly text: string;
  /** Which adapter drew it, in words. */
  readonly name: string;
};

/** Both, in random order; or why there are none. */
export type DrawnTwo =
  | { readonly kind: "drawn"; readonly exchange: Exchange; readonly two: readonly [Drawn, Drawn] }
  | { readonly kind: "blocked"; readonly verdict: Verdict | undefined }
  | { readonly kind: "alike" };

type Raw = Awaited<ReturnType<typeof drawOne>>;

/**
 * Draws and records. @param adapters names of adapters or `base`; undefined: the one that serves
 * @param signal aborting it ends both
 * @throws CodedError the engine's, `engine_unreachable`, `disk_full`, `database_failed`; the signal's reason
 */
export async function drawTwo(
  question: Question,
  adapters: readonly [string | undefined, string | undefined],
  parts: AnsweringParts,
  signal: AbortSignal,
): Promise<DrawnTwo> {
  const figures = await parts.figures();
  const prompt = systemPrompt(parts.prompt(), question.instructions);
  const messages: readonly ChatMessage[] = [{ role: "user", content: questionText(question.text) }];
  const request = [{ role: "system" as const, content: prompt.text }, ...messages];
  // As for any question: which rules hold in that place, and what moderators decided about it.
  const metadata = engineMetadata(question, await decidedAbout(question, parts));
  const drawn = await Promise.all(
    adapters.map((adapter) => drawOne({ request, adapter, figures, metadata, signal }, parts)),
  );
  const [first, second] = parts.newSeed() % 2 === 0 ? drawn : drawn.toReversed();
  if (first === undefined || second === undefined) throw new Error("two were drawn");
  const blocked = [first, second].find(({ end }) => end.reason === "content_filter");
  if (blocked !== undefined) return { kind: "blocked", verdict: blocked.end.verdict };
  if (first.text === "" || first.text === second.text) return { kind: "alike" };
  const exchange = exchangeOf(question, { messages, sha256: prompt.sha256 }, parts);
  record(exchange, [first, second], parts);
  return { kind: "drawn", exchange, two: [toDrawn(question, first), toDrawn(question, second)] };
}

async function drawOne(
  asked: {
    readonly request: readonly ChatMessage[];
    readonly adapter: string | undefined;
    readonly figures: { readonly modelId: string; readonly contextTokens: number };
    readonly metadata: NonNullable<ChatRequest["metadata"]>;
    readonly signal: AbortSignal;
  },
  parts: AnsweringParts,
) {
  const { request: messages, adapter, figures, metadata, signal } = asked;
  const sampling = {
    ...SAMPLING,
    maxTokens: answerTokens(figures.contextTokens),
    seed: parts.newSeed(),
  };
  const model = adapter === undefined ? {} : { model: `${figures.modelId}:${adapter}` };
  let text = "";
  for await (const chunk of parts.engine.chat({
    ...{ messages, ...sampling, ...model, metadata, signal },
  })) {
    if (chunk.type === "text") text += chunk.text;
    if (chunk.type === "end") {
      return { candidateId: parts.newId(), text: text.trim(), sampling, end: chunk };
    }
  }
  throw new Error("the engine's stream ended without an end");
}

function toDrawn({ language }: Question, { candidateId, text, end }: Raw): Drawn {
  const name =
    end.adapter === null
      ? language.say("compare.base")
      : language.say("compare.adapter", { name: end.adapter });
  return { candidateId, text, name };
}

function exchangeOf(
  question: Question,
  about: { readonly messages: readonly ChatMessage[]; readonly sha256: string },
  parts: AnsweringParts,
): Exchange {
  return {
    id: parts.newId(),
    source: parts.source,
    guildId: question.guildId,
    channelId: question.channelId,
    threadId: question.threadId,
    authorKey: question.personKey,
    messages: about.messages,
    systemPromptSha256: about.sha256,
    createdAtMs: parts.clock.nowMs(),
  };
}

function record(exchange: Exchange, drawn: readonly Raw[], parts: AnsweringParts): void {
  const { id: exchangeId, createdAtMs } = exchange;
  parts.feedback.recordExchange(
    exchange,
    drawn.map(({ candidateId, text, sampling, end }) => ({
      id: candidateId,
      exchangeId,
      text,
      adapter: end.adapter,
      sampling,
      finishReason: end.reason,
      createdAtMs,
    })),
  );
}
