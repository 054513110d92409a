/**
 * From a question to a shown, recorded and remembered answer. It knows the engine by its client,
 * Discord only as an `AnswerView`, and people only by pseudonym and display name.
 */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { Clock } from "#engine/base/clock.ts";
import { isCoded } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { ChatChunk, EngineClient } from "#engine/client/engine-client.ts";
import type { Prompt } from "#prompts/load.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";
import type { Source } from "#trainer/feedback/records.ts";
import type { ConversationMemory } from "../conversation/memory.ts";
import type { Quote } from "../conversation/untrusted-text.ts";
import type { Turn } from "../conversation/window.ts";
import type { AnswerView } from "./answer-view.ts";
import type { EngineFigures } from "./engine-figures.ts";
import { answerTokens, conversationMessages, questionText } from "./prompt.ts";
import type { RequestLimits } from "./request-limits.ts";
import {
  answerContents,
  answerFooter,
  failureNotice,
  NOTES,
  queueNotice,
  refusalNotice,
} from "./wording.ts";

/** One question, wherever it was asked. */
export type Question = {
  readonly text: string;
  readonly quote?: Quote;
  readonly guildId: string | null;
  readonly channelId: string;
  readonly threadId: string | null;
  readonly personKey: string;
  readonly personName: string;
  /** Key of the conversation that it continues (`conversationKey`). */
  readonly conversation: string;
  /** The message that asks; a slash command has none. */
  readonly messageId?: string;
  /** Shown above the answer. */
  readonly heading?: string;
};

/** What became of a question. Every kind has been shown to the person. */
export type AnswerOutcome =
  | {
      readonly kind: "answered";
      readonly messageIds: readonly string[];
      /** Whether votes on it can be recorded. */
      readonly isSaved: boolean;
    }
  | { readonly kind: "refused" | "blocked" | "failed" | "aborted"; readonly code: string };

/** What answering needs; all of it comes from the entry point. */
export type AnsweringParts = {
  readonly engine: Pick<EngineClient, "chat">;
  readonly figures: () => Promise<EngineFigures>;
  readonly limits: RequestLimits;
  readonly memory: ConversationMemory;
  readonly feedback: Pick<FeedbackLog, "recordExchange" | "recordMessage">;
  readonly prompt: () => Prompt;
  readonly source: Source;
  readonly clock: Clock;
  /** A new unique id. */
  readonly newId: () => string;
  /** A new sampling seed, 0 to 2^31 − 1. */
  readonly newSeed: () => number;
  readonly log: Logger;
};

/** The reason of an abort because the question was deleted: then the answer goes too. */
export const WITHDRAWN = "withdrawn";

/** How answers are drawn: as Zephyr's authors evaluated it, a little cooler for chat. */
const SAMPLING = { temperature: 0.7, topP: 0.95, topK: 50 } as const;

type End = Extract<ChatChunk, { readonly type: "end" }>;
type Asked = {
  readonly turn: Turn;
  readonly messages: readonly ChatMessage[];
  readonly prompt: Prompt;
};

/**
 * Answers one question into `view`. Never rejects.
 * @param signal aborting ends the answer with what there is
 */
export async function answerQuestion(
  question: Question,
  view: AnswerView,
  parts: AnsweringParts,
  signal: AbortSignal,
): Promise<AnswerOutcome> {
  const who = { person: question.personKey, guild: question.guildId ?? question.channelId };
  const showPosition = (position: number) => view.show([queueNotice(position)]);
  try {
    const admission = await parts.limits.run(
      who,
      () => answerNow(question, view, parts, signal),
      showPosition,
    );
    if (admission.kind === "done") return admission.value;
    await view.finish([refusalNotice(admission)]);
    return { kind: "refused", code: admission.reason };
  } catch (error) {
    parts.log.error({ err: error }, "an answer failed");
    await view.finish([failureNotice(error)]);
    return { kind: "failed", code: "internal_error" };
  }
}

async function answerNow(
  question: Question,
  view: AnswerView,
  parts: AnsweringParts,
  signal: AbortSignal,
): Promise<AnswerOutcome> {
  const shown = { text: "" };
  try {
    const figures = await parts.figures();
    const asked = await ask(question, parts, figures);
    const seed = parts.newSeed();
    const end = await streamWithRetry(asked, shown, {
      view,
      parts,
      signal,
      figures,
      seed,
      question,
    });
    if (end.reason === "content_filter") return await showBlocked(view, shown.text, end);
    return await settle({
      question,
      view,
      parts,
      asked,
      text: shown.text.trim(),
      end,
      seed,
      figures,
      signal,
    });
  } catch (error) {
    return await showFailure(view, parts, shown.text, error, signal);
  }
}

async function ask(
  question: Question,
  parts: AnsweringParts,
  figures: EngineFigures,
): Promise<Asked> {
  const prompt = parts.prompt();
  const turn: Turn = {
    role: "user",
    content: questionText(question.text, question.quote),
    messageIds: question.messageId === undefined ? [] : [question.messageId],
    // A deleted question then erases its exchange: the log knows both by one id.
    exchangeId: question.messageId ?? parts.newId(),
    speakerKey: question.personKey,
    speakerName: question.personName,
  };
  const turns = await parts.memory.turns(question.conversation);
  const limits = { systemPrompt: prompt.text, contextTokens: figures.contextTokens };
  return { turn, messages: conversationMessages(turns, turn, limits), prompt };
}

type Streaming = {
  readonly view: AnswerView;
  readonly parts: AnsweringParts;
  readonly signal: AbortSignal;
  readonly figures: EngineFigures;
  readonly seed: number;
  readonly question: Question;
};

/** The estimate of tokens may have been too low; then the question goes alone. */
async function streamWithRetry(asked: Asked, shown: { text: string }, to: Streaming): Promise<End> {
  try {
    return await stream(asked.messages, asked.prompt, shown, to);
  } catch (error) {
    const last = asked.messages.at(-1);
    const isRetry = isCoded(error, "prompt_too_long") && asked.messages.length > 1;
    if (!isRetry || last === undefined) throw error;
    return await stream([last], asked.prompt, shown, to);
  }
}

async function stream(
  messages: readonly ChatMessage[],
  prompt: Prompt,
  shown: { text: string },
  { view, parts, signal, figures, seed, question }: Streaming,
): Promise<End> {
  const chunks = parts.engine.chat({
    messages: [{ role: "system", content: prompt.text }, ...messages],
    ...SAMPLING,
    seed,
    maxTokens: answerTokens(figures.contextTokens),
    metadata: {
      person: question.personKey,
      ...(question.guildId === null ? {} : { guild: question.guildId }),
    },
    signal,
  });
  for await (const chunk of chunks) {
    if (chunk.type === "end") return chunk;
    if (chunk.type === "queued") view.show([queueNotice(chunk.position)]);
    else shown.text += chunk.text;
    if (shown.text.trim() !== "")
      view.show(answerContents(shown.text, { heading: question.heading }));
  }
  throw new Error("the engine's stream ended without an end");
}

type Settling = {
  readonly signal: AbortSignal;
  readonly question: Question;
  readonly view: AnswerView;
  readonly parts: AnsweringParts;
  readonly asked: Asked;
  readonly text: string;
  readonly end: End;
  readonly seed: number;
  readonly figures: EngineFigures;
};

/** Recorded before it is shown in full, so that no vote can come for an answer that is unknown. */
async function settle(settling: Settling): Promise<AnswerOutcome> {
  const { question, view, parts, asked, text, end, figures, signal } = settling;
  const candidateId = parts.newId();
  const isRecorded = text !== "" && isSaved(parts.log, () => recordExchange(settling, candidateId));
  const notes = [
    answerFooter(figures.modelId, end.adapter),
    ...(end.reason === "length" ? [NOTES.tooLong] : []),
    ...(isRecorded || text === "" ? [] : [NOTES.notSaved]),
  ];
  const outcome = await view.finish(
    answerContents(text, { heading: question.heading, footer: notes.join(" · ") }),
  );
  const { messageIds } = outcome;
  if (outcome.kind === "lost") parts.log.warn({ err: outcome.cause }, "an answer was not shown");
  const isMapped =
    isRecorded &&
    isSaved(parts.log, () => {
      for (const messageId of messageIds) parts.feedback.recordMessage(messageId, candidateId);
    });
  if (text !== "" && !signal.aborted) {
    const answer: Turn = { ...asked.turn, role: "assistant", content: text, messageIds };
    await parts.memory.append(question.conversation, [asked.turn, answer]);
  }
  return { kind: "answered", messageIds, isSaved: isMapped && outcome.kind === "shown" };
}

function recordExchange({ question, parts, asked, text, end, seed }: Settling, id: string): void {
  const { exchangeId } = asked.turn;
  const createdAtMs = parts.clock.nowMs();
  parts.feedback.recordExchange(
    {
      id: exchangeId,
      source: parts.source,
      guildId: question.guildId,
      channelId: question.channelId,
      threadId: question.threadId,
      authorKey: question.personKey,
      messages: asked.messages,
      systemPromptSha256: asked.prompt.sha256,
      createdAtMs,
    },
    [
      {
        id,
        exchangeId,
        text,
        adapter: end.adapter,
        sampling: { ...SAMPLING, seed },
        finishReason: end.reason,
        createdAtMs,
      },
    ],
  );
}

/** The log may be full or damaged: then votes are refused, and chat goes on. */
function isSaved(log: Logger, write: () => void): boolean {
  try {
    write();
    return true;
  } catch (error) {
    log.error({ err: error }, "an answer could not be recorded");
    return false;
  }
}

/** What was checked stays; what was withheld is neither recorded nor remembered. */
async function showBlocked(view: AnswerView, text: string, end: End): Promise<AnswerOutcome> {
  const reason = end.verdict?.reason ?? "The rest of this answer did not pass its check.";
  await view.finish(answerContents(text.trim() === "" ? reason : `${text.trim()}\n\n${reason}`));
  return { kind: "blocked", code: end.verdict?.category ?? "unknown" };
}

async function showFailure(
  view: AnswerView,
  parts: AnsweringParts,
  text: string,
  error: unknown,
  signal: AbortSignal,
): Promise<AnswerOutcome> {
  const hasText = text.trim() !== "";
  if (signal.reason === WITHDRAWN) {
    await view.finish([]);
    return { kind: "aborted", code: "withdrawn" };
  }
  if (signal.aborted) {
    await view.finish(
      hasText
        ? answerContents(text, { footer: NOTES.restarting })
        : [refusalNotice({ reason: "closing" })],
    );
    return { kind: "aborted", code: "aborted" };
  }
  parts.log.warn({ err: error }, "the engine did not answer");
  await view.finish(
    hasText ? answerContents(text, { footer: NOTES.brokeOff }) : [failureNotice(error)],
  );
  return { kind: "failed", code: isCoded(error) ? error.code : "internal_error" };
}
