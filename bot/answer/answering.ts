/**
 * From a question to a shown answer, whatever happens on the way. It knows the engine by its client,
 * Discord only as an `AnswerView`, and people only by pseudonym and display name.
 */
import { isCoded } from "#engine/base/errors.ts";
import { askEngine, type End } from "./ask-engine.ts";
import { keepAnswer } from "./keep-answer.ts";
import type { AnswerOutcome, Job } from "./question.ts";
import { answerContents, failureNotice, NOTES, queueNotice, refusalNotice } from "./wording.ts";

/** The reason of an abort because the question was deleted: then the answer goes too. */
export const WITHDRAWN = "withdrawn";

/** Answers one question into its view. Never rejects. */
export async function answerQuestion(job: Job): Promise<AnswerOutcome> {
  const { question, view, parts } = job;
  const who = { person: question.personKey, guild: question.guildId ?? question.channelId };
  try {
    const admission = await parts.limits.run(
      who,
      () => answerNow(job),
      (position) => view.show([queueNotice(position)]),
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

async function answerNow(job: Job): Promise<AnswerOutcome> {
  const shown = { text: "" };
  try {
    const asked = await askEngine(job, shown);
    if (asked.end.reason === "content_filter") return await showBlocked(job, shown.text, asked.end);
    return await keepAnswer(job, asked, shown.text.trim());
  } catch (error) {
    return await showFailure(job, shown.text, error);
  }
}

/** What was checked stays; what was withheld is neither recorded nor remembered. */
async function showBlocked(
  { question, view }: Job,
  text: string,
  end: End,
): Promise<AnswerOutcome> {
  const reason = end.verdict?.reason ?? "The rest of this answer did not pass its check.";
  const shown = text.trim() === "" ? reason : `${text.trim()}\n\n${reason}`;
  await view.finish(answerContents(shown, { heading: question.heading }));
  return { kind: "blocked", code: end.verdict?.category ?? "unknown" };
}

async function showFailure(
  { question, view, parts, signal }: Job,
  text: string,
  error: unknown,
): Promise<AnswerOutcome> {
  if (signal.reason === WITHDRAWN) {
    await view.finish([]);
    return { kind: "aborted", code: WITHDRAWN };
  }
  const showWhatCame = (note: string, otherwise: string) =>
    text.trim() === ""
      ? view.finish([otherwise])
      : view.finish(answerContents(text, { heading: question.heading, footer: note }));
  if (signal.aborted) {
    await showWhatCame(NOTES.restarting, refusalNotice({ reason: "closing" }));
    return { kind: "aborted", code: "aborted" };
  }
  parts.log.warn({ err: error }, "the engine did not answer");
  await showWhatCame(NOTES.brokeOff, failureNotice(error));
  return { kind: "failed", code: isCoded(error) ? error.code : "internal_error" };
}
