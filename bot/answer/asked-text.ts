/** By which words a question is known, also where Regenerate or Continue asks it in others. Pure. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import { withoutSpeaker } from "../conversation/untrusted-text.ts";
import { questionText } from "./prompt.ts";
import type { Question } from "./question.ts";
import { CONTINUE_PROMPT } from "./wording.ts";

/** What a person asked: moderators' decisions are about that. */
export function askedText(question: Question): string {
  const { text, quote, messages } = question;
  return messages === undefined ? questionText(text, quote, question) : askedIn(messages);
}

/** Likewise, in the messages that the engine got; Continue goes on from what was asked before it. */
export function askedIn(messages: readonly ChatMessage[]): string {
  const asked = messages.findLast(
    ({ role, content }) => role === "user" && content !== CONTINUE_PROMPT,
  );
  return withoutSpeaker(asked?.content ?? "");
}
