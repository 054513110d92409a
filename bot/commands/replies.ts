/** What the commands reply. Pure text; it knows neither Discord nor where the figures come from. */
import type { Adapters, Health } from "#engine/client/engine-client.ts";
import type { LogCounts } from "#trainer/feedback/log.ts";
import type { Source } from "#trainer/feedback/records.ts";
import { SMALL } from "../answer/wording.ts";
import type { CaptureOutcome } from "../feedback/capture.ts";
import type { Language } from "../language/language.ts";
import type { ReportCategory } from "./report.ts";

/** How the bot learns, as the settings say. */
export type Learning = {
  readonly source: Source;
  /** A local time, or `off`. */
  readonly trainAt: string;
  readonly isLearningFromDiscord: boolean;
  /** Whether people of the local Discord agree unless they refuse. */
  readonly isConsentAssumed: boolean;
  /** Where the privacy statement can be read. */
  readonly privacyUrl?: string;
};

/** What `/status` tells. `undefined`: could not be found out. */
export type StatusFigures = {
  readonly health: Health | undefined;
  readonly counts: LogCounts | undefined;
  readonly waiting: number;
  readonly inFlight: number;
  readonly learning: Learning;
};

const EXCERPT_CHARACTERS = 80;
const ADAPTERS_SHOWN = 20;
/** Discord's limit on a message. */
const REPLY_CHARACTERS = 2_000;
/** Of a report and of what is reported, as moderators are shown them. */
const REPORT_EXCERPT_CHARACTERS = 600;

/** The text of `/status`. */
export function statusReply(language: Language, figures: StatusFigures): string {
  const { health, counts, waiting, inFlight, learning } = figures;
  const feedback =
    counts === undefined
      ? language.say("status.feedback_unreadable")
      : language.say("status.feedback", {
          answers: counts.candidates,
          count: counts.standingRatings,
        });
  return [
    ...(health === undefined
      ? [language.say("status.engine_away")]
      : engineLines(language, health)),
    language.say("status.here", { making: inFlight - waiting, waiting }),
    feedback,
    language.say("status.learning", { learning: learningLine(language, learning) }),
  ].join("\n");
}

/** The text of `/help`. @param name the bot's own */
export function helpReply(language: Language, name: string, learning: Learning): string {
  const { privacyUrl: url } = learning;
  return [
    language.say("help.talk", { name }),
    language.say("help.chat"),
    language.say("help.mention", { name }),
    language.say("help.threads"),
    language.say("help.opinion"),
    language.say("help.votes"),
    language.say("help.regenerate"),
    language.say("help.menu"),
    language.say("help.compare"),
    language.say("help.again"),
    language.say("help.appeal"),
    language.say("help.afterwards"),
    language.say("help.learning", { learning: learningLine(language, learning) }),
    language.say("help.mydata"),
    language.say("help.deletion"),
    ...(url === undefined ? [] : [language.say("help.privacy", { url })]),
    language.say("help.managers"),
    `${SMALL}${language.say("help.check")}`,
  ].join("\n");
}

/** What the rater is told. @param excerpt the rated answer's text */
export function ratingReply(
  language: Language,
  outcome: CaptureOutcome,
  stars: number,
  excerpt: string,
): string {
  switch (outcome.kind) {
    case "recorded":
    case "duplicate":
      return language.say("feedback.rated", {
        stars: `${"★".repeat(stars)}${"☆".repeat(5 - stars)}`,
        excerpt: shorten(excerpt),
      });
    case "ignored":
      return language.say("feedback.no_such_answer");
    case "not_saved":
      return notSavedReply(language, outcome.isDiskFull);
  }
}

/** What a person is told whose thumb was saved. @param excerpt the answer's text */
export function voteReply(language: Language, thumb: 1 | -1, excerpt: string): string {
  const saved = language.say("feedback.voted", {
    thumb: thumb === 1 ? "👍" : "👎",
    excerpt: shorten(excerpt),
  });
  // A dislike alone says what is bad, and not what would be better.
  return thumb === 1 ? saved : `${saved}\n${SMALL}${language.say("feedback.show_better")}`;
}

/** What a reporter is told. @param isTold whether moderators got it, too */
export function reportedReply(language: Language, isTold: boolean): string {
  return language.say(isTold ? "report.saved_and_told" : "report.saved");
}

/** What moderators are told. @param report what was reported, by whom, and the reporter's words */
export function reportNotice(
  language: Language,
  report: {
    readonly category: ReportCategory;
    readonly words: string;
    readonly url: string;
    readonly answer: string;
    readonly by: string;
  },
): string {
  const { words, url } = report;
  const category = language.say(`option.report.${report.category}`);
  const answer = shorten(report.answer, REPORT_EXCERPT_CHARACTERS);
  return [
    language.say("report.notice", { category, by: shorten(report.by), url }),
    ...(words === "" ? [] : [`> ${shorten(words, REPORT_EXCERPT_CHARACTERS)}`]),
    language.say("report.notice_answer", { answer }),
  ].join("\n");
}

/** Feedback could not be made durable. */
export function notSavedReply(language: Language, isDiskFull: boolean): string {
  return language.say(isDiskFull ? "feedback.disk_full" : "feedback.log_broken");
}

/** The text of `/adapter list`. */
export function adapterList(language: Language, { active, canary, adapters }: Adapters): string {
  const lines = adapters
    .slice(0, ADAPTERS_SHOWN)
    .map(({ name, gate_passed, created_at, problem }) => {
      const marks = [
        ...(name === active ? [language.say("adapter.serves")] : []),
        ...(name === canary?.name
          ? [language.say("adapter.on_trial", { percent: Math.round(canary.share * 100) })]
          : []),
        ...(gate_passed === false ? [language.say("adapter.gate_refused")] : []),
        ...(problem === undefined ? [] : [problem]),
      ];
      const made =
        created_at === undefined
          ? `**${name}**`
          : language.say("adapter.made", { name, date: new Date(created_at) });
      return `• ${made}${marks.length === 0 ? "" : `: ${marks.join("; ")}`}`;
    });
  const serving =
    active === null
      ? language.say("adapter.base_serves")
      : language.say("adapter.one_serves", { name: active });
  return [serving, ...lines].join("\n").slice(0, REPLY_CHARACTERS);
}

/** What an operator is told who changed which adapter serves. */
export function swapReply(
  language: Language,
  after: {
    readonly active: string | null;
    readonly canary: { readonly name: string; readonly share: number } | null;
  },
): string {
  const { active, canary } = after;
  const serves =
    active === null
      ? language.say("adapter.base_serves_now")
      : language.say("adapter.one_serves_now", { name: active });
  if (canary === null) return serves;
  return `${serves} ${trialLine(language, canary)}`;
}

function trialLine(language: Language, { name, share }: { name: string; share: number }): string {
  return language.say("adapter.trial_now", { percent: Math.round(share * 100), name });
}

function engineLines(language: Language, health: Health): readonly string[] {
  const { model, queue } = health;
  const adapter = health.adapter ?? language.say("status.no_adapter");
  return [
    language.say("status.model", {
      model: model.id,
      parameters: language.magnitude(model.parameters),
      contextTokens: model.context_tokens,
    }),
    language.say("status.adapter", { adapter }),
    ...(health.canary === null ? [] : [trialLine(language, health.canary)]),
    language.say("status.device", { device: model.device }),
    language.say("status.engine", {
      state: health.status,
      running: queue.running,
      waiting: queue.waiting,
      most: queue.limit,
    }),
    ...health.problems.map((problem) => `${SMALL}${problem}`),
  ];
}

function learningLine(
  language: Language,
  { source, trainAt, isLearningFromDiscord }: Learning,
): string {
  if (source === "discord" && !isLearningFromDiscord) {
    return language.say("learning.off_on_discord");
  }
  return trainAt === "off"
    ? language.say("learning.on_demand")
    : language.say("learning.nightly", { time: trainAt });
}

/** One line that cannot leave its quotation marks' line. */
function shorten(text: string, most = EXCERPT_CHARACTERS): string {
  const line = text.replaceAll(/[\s`*_~|>#]+/g, " ").trim();
  const short = [...line].slice(0, most).join("");
  return short === line ? line : `${short}…`;
}
