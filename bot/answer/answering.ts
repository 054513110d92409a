/**
 * From a question to a shown answer, whatever happens on the way. It knows the engine by its client,
 * Discord only as an `AnswerView`, and people only by pseudonym and display name.
 */
import { isCoded } from "#engine/base/errors.ts";
import { appealButtons } from "../moderation/appeal-button.ts";
import { withheldText } from "../moderation/withheld.ts";
import { type Asked, askEngine, type End } from "./ask-engine.ts";
import { stopButton } from "./controls.ts";
import { toDrafts } from "./draft.ts";
import { keepAnswer } from "./keep-answer.ts";
import { type AnswerOutcome, type Job, STOPPED, WITHDRAWN } from "./question.ts";
import { answerContents, failureNotice, queueNotice, refusalNotice } from "./wording.ts";

/** Answers one question into its view. Never rejects. */
export async function answerQuestion(job: Job): Promise<AnswerOutcome> {
  const { question, view, parts } = job;
  const { language } = question;
  const who = {
    person: question.personKey,
    guild: question.guildId ?? question.channelId,
    perMinute: question.perMinute,
  };
  const shown = { text: "" };
  try {
    // The place in the queue is given back once the engine is done: the last edits may take a while.
    const admission = await parts.limits.run(
      who,
      () => generate(job, shown),
      (position, waitMs) =>
        view.show([
          {
            content: queueNotice(language, position, waitMs),
            buttons: [stopButton(language, job.candidateId)],
          },
        ]),
    );
    if (admission.kind === "done") return await conclude(job, shown.text, admission.value);
    await view.finish([{ content: refusalNotice(language, admission) }]);
    return { kind: "refused", code: admission.reason };
  } catch (error) {
    parts.log.error({ err: error }, "an answer failed");
    await view.finish([{ content: failureNotice(language, error) }]);
    return { kind: "failed", code: "internal_error" };
  }
}

type Generated =
  | { readonly kind: "asked"; readonly asked: Asked }
  | { readonly kind: "failed"; readonly error: unknown };

async function generate(job: Job, shown: { text: string }): Promise<Generated> {
  try {
    return { kind: "asked", asked: await askEngine(job, shown) };
  } catch (error) {
    return { kind: "failed", error };
  }
}

function conclude(job: Job, text: string, generated: Generated): Promise<AnswerOutcome> {
  if (generated.kind === "failed") return showFailure(job, text, generated.error);
  // Deleted, or its author banned or forgotten, while the last words came: then it is kept nowhere.
  if (job.signal.reason === WITHDRAWN) return showFailure(job, text, job.signal.reason);
  const { asked } = generated;
  return asked.end.reason === "content_filter"
    ? showBlocked(job, text, asked.end)
    : keepAnswer(job, asked, text.trim());
}

/** What was checked stays; what was withheld is neither recorded nor remembered. */
async function showBlocked(
  { question, view, parts }: Job,
  text: string,
  end: End,
): Promise<AnswerOutcome> {
  const { language } = question;
  const reason = withheldText(language, end.verdict);
  const shown = text.trim() === "" ? reason : `${text.trim()}\n\n${reason}`;
  const verdict = end.verdict ?? { stage: "output", category: "unknown", reason };
  const { category } = verdict;
  // What may not be asked is not said again in the bot's own name.
  const heading = verdict.stage === "input" ? undefined : question.heading;
  const { messageIds } = await view.finish(
    toDrafts(answerContents(language, shown, { heading }), {
      buttons: appealButtons(language, question.guildId, category),
    }),
  );
  parts.onBlocked?.(question, verdict, messageIds);
  return { kind: "blocked", code: category };
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
  const { language } = question;
  const showWhatCame = (note: string, otherwise: string) =>
    text.trim() === ""
      ? view.finish([{ content: otherwise }])
      : view.finish(
          toDrafts(answerContents(language, text, { heading: question.heading, footer: note })),
        );
  if (signal.reason === STOPPED) {
    await view.finish([{ content: language.say("answer.stopped_early") }]);
    return { kind: "aborted", code: STOPPED };
  }
  if (signal.aborted) {
    await showWhatCame(
      language.say("answer.restarting"),
      refusalNotice(language, { reason: "closing" }),
    );
    return { kind: "aborted", code: "aborted" };
  }
  parts.log.warn({ err: error }, "the engine did not answer");
  await showWhatCame(language.say("answer.broke_off"), failureNotice(language, error));
  return { kind: "failed", code: isCoded(error) ? error.code : "internal_error" };
}
