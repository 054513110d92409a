/** What the engine is told about where a question comes from, whichever command asks it. */
import type { ChatRequest } from "#engine/client/engine-client.ts";
import type { Decided } from "../moderation/decided-questions.ts";
import { askedText } from "./asked-text.ts";
import type { AnsweringParts, Question } from "./question.ts";

/** What a server's moderators decided about a question; nothing in direct messages. */
export async function decidedAbout(
  question: Question,
  { decided }: Pick<AnsweringParts, "decided">,
): Promise<Decided | undefined> {
  const { guildId } = question;
  return guildId === null ? undefined : await decided?.(guildId, askedText(question));
}

/** @param decided what the server's moderators decided about this question */
export function engineMetadata(
  question: Question,
  decided: Decided | undefined,
): NonNullable<ChatRequest["metadata"]> {
  return {
    person: question.personKey,
    ...(question.guildId === null ? {} : { guild: question.guildId }),
    channel: question.channelId,
    age_restricted: question.isAgeRestricted === true,
    ...(question.locale === undefined ? {} : { locale: question.locale }),
    ...(decided === undefined ? {} : { moderation: { decided } }),
  };
}
