/** Asks the engine a question in its conversation, and shows the answer as it comes. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { PromptMessage } from "#engine/backends/prompt.ts";
import { isCoded } from "#engine/base/errors.ts";
import type { ChatChunk } from "#engine/client/engine-client.ts";
import { imageTokens, withImages } from "../conversation/attached-image.ts";
import { type Turn, toChatMessages } from "../conversation/window.ts";
import type { Decided } from "../moderation/decided-questions.ts";
import { stopButton } from "./controls.ts";
import { toDrafts } from "./draft.ts";
import type { EngineFigures } from "./engine-figures.ts";
import { decidedAbout, engineMetadata } from "./engine-metadata.ts";
import { answerTokens, questionText, systemPrompt } from "./prompt.ts";
import { type Job, type Sources, STOPPED } from "./question.ts";
import { recollect } from "./recollect.ts";
import { SAMPLING } from "./sampling.ts";
import { answerContents, queueNotice } from "./wording.ts";

/** The engine's last word. */
export type End = Extract<ChatChunk, { readonly type: "end" }>;

/** What was asked, how it was drawn, and how it ended. */
export type Asked = {
  /** The question as it will be remembered. */
  readonly turn: Turn;
  /** What the engine got, without the system prompt. */
  readonly messages: readonly ChatMessage[];
  /** Whose words and which messages it holds. */
  readonly sources: Sources;
  readonly systemPromptSha256: string;
  readonly modelId: string;
  readonly sampling: Readonly<Record<string, number>>;
  readonly end: End;
  /** A person wanted no more. */
  readonly isStopped: boolean;
};

/**
 * Streams one answer into the job's view.
 * @param shown grows with the text, so that what came before a failure is not lost
 * @throws CodedError the engine's own, or `engine_unreachable`; the signal's reason when aborted
 */
export async function askEngine(job: Job, shown: { text: string }): Promise<Asked> {
  const { parts } = job;
  const figures = await parts.figures();
  const prompt = systemPrompt(parts.prompt(), job.question.instructions);
  const turn = questionTurn(job);
  const { images = [] } = job.question;
  const contextTokens = figures.contextTokens - imageTokens(images);
  const limits = { systemPrompt: prompt.text, contextTokens };
  const sampling = {
    ...SAMPLING,
    maxTokens: answerTokens(figures.contextTokens),
    seed: parts.newSeed(),
  };
  const messages = await messagesOf(job, turn, limits);
  const decided = await decidedAbout(job.question, parts);
  const sources = await sourcesOf(job, turn);
  const common = {
    turn,
    sources,
    systemPromptSha256: prompt.sha256,
    modelId: figures.modelId,
    sampling,
  };
  const ask = async (asked: readonly ChatMessage[]): Promise<Asked> => {
    const request = [
      { role: "system" as const, content: prompt.text },
      ...withImages(asked, images),
    ];
    const end = await streamUntilStopped(job, shown, request, { sampling, figures, decided });
    return { ...common, messages: asked, end, isStopped: job.signal.reason === STOPPED };
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
  return {
    personKeys: turns.flatMap(({ speakerKeys, speakerKey }) => speakerKeys ?? [speakerKey]),
    messageIds: turns.flatMap(({ messageIds }) => messageIds),
  };
}

async function messagesOf(
  job: Job,
  turn: Turn,
  limits: { readonly systemPrompt: string; readonly contextTokens: number },
): Promise<readonly ChatMessage[]> {
  const { question } = job;
  if (question.messages !== undefined) return question.messages;
  const turns = question.isRemembered === false ? [] : await recollect(job, turn, limits);
  return toChatMessages([...turns, turn]);
}

/** What it quotes or goes on from is others', for as long as the turn is remembered. */
function questionTurn({ question, parts }: Job): Turn {
  const { quote, about, personKey } = question;
  const others = [quote?.personKey ?? [], about?.personKeys ?? []].flat();
  return {
    role: "user",
    content:
      question.messages?.at(-1)?.content ?? questionText(question.text, question.quote, question),
    messageIds: [
      ...new Set(
        [question.messageId ?? [], quote?.messageId ?? [], about?.messageIds ?? []].flat(),
      ),
    ],
    // A deleted question then erases its exchange: the log knows both by one id.
    exchangeId: question.again?.exchange.id ?? question.messageId ?? parts.newId(),
    speakerKey: question.personKey,
    speakerName: question.personName,
    ...(others.length === 0 ? {} : { speakerKeys: [...new Set([personKey, ...others])] }),
  };
}

type Drawing = {
  readonly sampling: {
    readonly temperature: number;
    readonly topP: number;
    readonly topK: number;
    readonly maxTokens: number;
    readonly seed: number;
  };
  readonly figures: EngineFigures;
  readonly decided: Decided | undefined;
};

/** When a person stops it, what came is the answer; by the adapter that served when it began. */
async function streamUntilStopped(
  job: Job,
  shown: { text: string },
  messages: readonly PromptMessage[],
  drawing: Drawing,
): Promise<End> {
  try {
    return await stream(job, shown, messages, drawing);
  } catch (error) {
    if (job.signal.reason !== STOPPED || shown.text.trim() === "") throw error;
    const { adapter } = drawing.figures;
    return {
      type: "end",
      reason: "stop",
      adapter,
      usage: { promptTokens: 0, completionTokens: 0 },
    };
  }
}

async function stream(
  { question, view, parts, signal, candidateId }: Job,
  shown: { text: string },
  messages: readonly PromptMessage[],
  { sampling, figures, decided }: Drawing,
): Promise<End> {
  const { adapter } = question;
  const model = adapter === undefined ? {} : { model: `${figures.modelId}:${adapter}` };
  const { language } = question;
  const buttons = [stopButton(language, candidateId)];
  const metadata = engineMetadata(question, decided);
  for await (const chunk of parts.engine.chat({
    messages,
    ...sampling,
    ...model,
    metadata,
    signal,
  })) {
    if (chunk.type === "end") return chunk;
    if (chunk.type === "queued")
      view.show([{ content: queueNotice(language, chunk.position), buttons }]);
    else shown.text += chunk.text;
    if (shown.text.trim() !== "") {
      const contents = answerContents(language, shown.text, { heading: question.heading });
      view.show(toDrafts(contents, { buttons }));
    }
  }
  throw new Error("the engine's stream ended without an end");
}
