/**
 * The buttons below an answer, and what their custom ids mean. All that a press needs is the answer's
 * id in the feedback log, so a button works after a restart and for as long as the answer is kept.
 */
import type { Language } from "../language/language.ts";
import type { Button } from "./draft.ts";

/** The kinds of button, before the colon of their custom ids. */
export const CONTROL = {
  stop: "stop",
  again: "again",
  more: "more",
  vote: "vote",
  unvote: "unvote",
} as const;

/** While an answer is in the making. */
export function stopButton(language: Language, candidateId: string): Button {
  const label = language.say("button.stop");
  return { id: `${CONTROL.stop}:${candidateId}`, label, emoji: "⏹️", style: "secondary" };
}

/** Below an answer that is recorded. */
export function answerButtons(language: Language, candidateId: string): readonly Button[] {
  const [again, more] = [language.say("button.regenerate"), language.say("button.continue")];
  return [
    { id: `${CONTROL.again}:${candidateId}`, label: again, emoji: "🔄", style: "secondary" },
    { id: `${CONTROL.more}:${candidateId}`, label: more, emoji: "▶️", style: "secondary" },
    { id: `${CONTROL.vote}:+:${candidateId}`, emoji: "👍", style: "secondary" },
    { id: `${CONTROL.vote}:-:${candidateId}`, emoji: "👎", style: "secondary" },
  ];
}

/** Below the confirmation of a vote. */
export function unvoteButton(language: Language, candidateId: string): Button {
  const label = language.say("button.take_back");
  return { id: `${CONTROL.unvote}:${candidateId}`, label, style: "secondary" };
}

/** The answer that a button is about: the last part of its custom id. */
export function candidateOfButton(customId: string): string {
  return customId.slice(customId.lastIndexOf(":") + 1);
}

/** Which thumb a vote's button is. */
export function thumbOfButton(customId: string): 1 | -1 {
  return customId.startsWith(`${CONTROL.vote}:+:`) ? 1 : -1;
}
