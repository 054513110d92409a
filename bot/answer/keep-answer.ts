/** A whole answer is recorded, shown in full, and remembered: in this order. */
import type { Logger } from "#engine/base/log.ts";
import type { Turn } from "../conversation/window.ts";
import type { Asked } from "./ask-engine.ts";
import { answerButtons } from "./controls.ts";
import { toDrafts } from "./draft.ts";
import type { AnswerOutcome, Job } from "./question.ts";
import { answerContents, answerFile, answerFooter } from "./wording.ts";

/**
 * Records the answer before it is shown in full, so that no vote can come for one that is unknown.
 * @param text without blanks around it; an empty answer is shown as such and kept nowhere
 */
export async function keepAnswer(job: Job, asked: Asked, text: string): Promise<AnswerOutcome> {
  const { question, view, parts, signal, candidateId } = job;
  // What was seen is not kept, and an answer to it teaches nothing about the words alone.
  const isOfImages = (question.images ?? []).length > 0;
  const isRecorded =
    text !== "" &&
    !isOfImages &&
    isSaved(parts.log, () => recordExchange(job, asked, { id: candidateId, text }));
  const { language } = question;
  const file = answerFile(text);
  const notes = [
    answerFooter(language, asked.modelId, asked.end.adapter),
    ...(asked.end.reason === "length" ? [language.say("answer.too_long")] : []),
    ...(asked.isStopped ? [language.say("answer.stopped")] : []),
    ...(file === undefined ? [] : [language.say("answer.whole_in_file")]),
    ...(isOfImages ? [language.say("answer.of_images")] : []),
    ...(isRecorded || isOfImages || text === "" ? [] : [language.say("answer.not_saved")]),
  ];
  const contents = answerContents(language, text, {
    heading: question.heading,
    footer: notes.join(" · "),
  });
  const buttons = isRecorded ? answerButtons(language, candidateId) : [];
  const outcome = await view.finish(toDrafts(contents, { buttons, file }));
  const { messageIds } = outcome;
  if (outcome.kind === "lost") parts.log.warn({ err: outcome.cause }, "an answer was not shown");
  const isMapped =
    isRecorded &&
    isSaved(parts.log, () => {
      for (const messageId of messageIds) parts.feedback.recordMessage(messageId, candidateId);
    });
  if (text !== "" && (!signal.aborted || asked.isStopped))
    await remember(job, asked, text, messageIds);
  return { kind: "answered", messageIds, isSaved: isMapped && outcome.kind === "shown" };
}

/** Another answer takes the first one's place, or begins a branch of the conversation. */
async function remember(
  { question, parts }: Job,
  { turn }: Asked,
  content: string,
  messageIds: readonly string[],
): Promise<void> {
  if (question.isRemembered === false) return;
  const answer: Turn = { ...turn, role: "assistant", content, messageIds };
  if (question.again === undefined)
    await parts.memory.append(question.conversation, [turn, answer]);
  else await parts.memory.replaceAnswer(question.again.messageId, answer);
}

function recordExchange(
  { question, parts }: Job,
  asked: Asked,
  answer: { readonly id: string; readonly text: string },
): void {
  const { exchangeId } = asked.turn;
  const createdAtMs = parts.clock.nowMs();
  parts.feedback.recordExchange(
    question.again?.exchange ?? {
      id: exchangeId,
      source: parts.source,
      guildId: question.guildId,
      channelId: question.channelId,
      threadId: question.threadId,
      authorKey: question.personKey,
      participantKeys: asked.sources.personKeys,
      messageIds: asked.sources.messageIds,
      messages: asked.messages,
      systemPromptSha256: asked.systemPromptSha256,
      createdAtMs,
    },
    [
      {
        ...answer,
        exchangeId,
        adapter: asked.end.adapter,
        sampling: asked.sampling,
        finishReason: asked.isStopped ? "aborted" : asked.end.reason,
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
