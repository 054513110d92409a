/** What the engine is told about where a question comes from, whichever command asks it. Pure. */
import type { ChatRequest } from "#engine/client/engine-client.ts";
import type { Decided } from "../moderation/decided-questions.ts";
import type { Question } from "./question.ts";

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
