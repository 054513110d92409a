/** Asks the engine a question in its conversation, and shows the answer as it comes. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { isCoded } from "#engine/base/errors.ts";
import type { ChatChunk } from "#engine/client/engine-client.ts";
import type { Turn } from "../conversation/window.ts";
import { answerTokens, conversationMessages, questionText } from "./prompt.ts";
import type { Job } from "./question.ts";
import { answerContents, queueNotice } from "./wording.ts";

/** How answers are drawn: the settings of Zephyr's model card. */
const SAMPLING = { temperature: 0.7, topP: 0.95, topK: 50 } as const;

/** The engine's last word. */
export type End = Extract<ChatChunk, { readonly type: "end" }>;

/** What was asked, how it was drawn, and how it ended. */
export type Asked = {
  /** The question as it will be remembered. */
  readonly turn: Turn;
  /** What the engine got, without the system prompt. */
  readonly messages: readonly ChatMessage[];
  /** Whose words and which messages it holds. */
  readonly sources: {
    readonly personKeys: readonly string[];
    readonly messageIds: readonly string[];
  };
  readonly systemPromptSha256: string;
  readonly modelId: string;
  readonly sampling: Readonly<Record<string, number>>;
  readonly end: End;
};

/**
 * Streams one answer into the job's view.
 * @param shown grows with the text, so that what came before a failure is not lost
 * @throws CodedError the engine's own, or `engine_unreachable`; the signal's reason when aborted
 */
export async function askEngine(job: Job, shown: { text: string }): Promise<Asked> {
  const { question, parts } = job;
  const figures = await parts.figures();
  const prompt = parts.prompt();
  const turn = questionTurn(job);
  const turns = await parts.memory.turns(question.conversation);
  const limits = { systemPrompt: prompt.text, contextTokens: figures.contextTokens };
  const sampling = {
    ...SAMPLING,
    maxTokens: answerTokens(figures.contextTokens),
    seed: parts.newSeed(),
  };
  const messages = conversationMessages(turns, turn, limits);
  const sources = await sourcesOf(job, turn);
  const common = {
    turn,
    sources,
    systemPromptSha256: prompt.sha256,
    modelId: figures.modelId,
    sampling,
  };
  const ask = async (asked: readonly ChatMessage[]): Promise<Asked> => {
    const request = [{ role: "system" as const, content: prompt.text }, ...asked];
    return { ...common, messages: asked, end: await stream(job, shown, request, sampling) };
  };
  try {
    return await ask(messages);
  } catch (error) {
    // The estimate of tokens may have been too low; then the question goes alone.
    if (!isCoded(error, "prompt_too_long") || messages.length === 1) throw error;
    return await ask(messages.slice(-1));
  }
}

/** Whose words and which messages the context may hold; rather too many than too few. */
async function sourcesOf({ question, parts }: Job, turn: Turn): Promise<Asked["sources"]> {
  const turns = [...(await parts.memory.turns(question.conversation)), turn];
  const quoted = question.quote?.personKey;
  return {
    personKeys: [
      ...turns.map(({ speakerKey }) => speakerKey),
      ...(quoted === undefined ? [] : [quoted]),
    ],
    messageIds: turns.flatMap(({ messageIds }) => messageIds),
  };
}

function questionTurn({ question, parts }: Job): Turn {
  return {
    role: "user",
    content: questionText(question.text, question.quote),
    messageIds: [question.messageId ?? [], question.quote?.messageId ?? []].flat(),
    // A deleted question then erases its exchange: the log knows both by one id.
    exchangeId: question.messageId ?? parts.newId(),
    speakerKey: question.personKey,
    speakerName: question.personName,
  };
}

async function stream(
  { question, view, parts, signal }: Job,
  shown: { text: string },
  messages: readonly ChatMessage[],
  sampling: {
    readonly temperature: number;
    readonly topP: number;
    readonly topK: number;
    readonly maxTokens: number;
    readonly seed: number;
  },
): Promise<End> {
  const metadata = {
    person: question.personKey,
    ...(question.guildId === null ? {} : { guild: question.guildId }),
  };
  for await (const chunk of parts.engine.chat({ messages, ...sampling, metadata, signal })) {
    if (chunk.type === "end") return chunk;
    if (chunk.type === "queued") view.show([queueNotice(chunk.position)]);
    else shown.text += chunk.text;
    if (shown.text.trim() !== "") {
      view.show(answerContents(shown.text, { heading: question.heading }));
    }
  }
  throw new Error("the engine's stream ended without an end");
}
