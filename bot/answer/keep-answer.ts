/** A whole answer is recorded, shown in full, and remembered: in this order. */
import type { Logger } from "#engine/base/log.ts";
import type { Turn } from "../conversation/window.ts";
import type { Asked } from "./ask-engine.ts";
import type { AnswerOutcome, Job } from "./question.ts";
import { answerContents, answerFooter, NOTES } from "./wording.ts";

/**
 * Records the answer before it is shown in full, so that no vote can come for one that is unknown.
 * @param text without blanks around it; an empty answer is shown as such and kept nowhere
 */
export async function keepAnswer(job: Job, asked: Asked, text: string): Promise<AnswerOutcome> {
  const { question, view, parts, signal } = job;
  const candidateId = parts.newId();
  const isRecorded =
    text !== "" && isSaved(parts.log, () => recordExchange(job, asked, { id: candidateId, text }));
  const notes = [
    answerFooter(asked.modelId, asked.end.adapter),
    ...(asked.end.reason === "length" ? [NOTES.tooLong] : []),
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

function recordExchange(
  { question, parts }: Job,
  asked: Asked,
  answer: { readonly id: string; readonly text: string },
): void {
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
        finishReason: asked.end.reason,
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
