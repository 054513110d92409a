/** What the commands reply. Pure text; it knows neither Discord nor where the figures come from. */
import type { Adapters, Health } from "#engine/client/engine-client.ts";
import type { LogCounts } from "#trainer/feedback/log.ts";
import type { Source } from "#trainer/feedback/records.ts";
import type { CaptureOutcome } from "../feedback/capture.ts";

/** How the bot learns, as the settings say. */
export type Learning = {
  readonly source: Source;
  /** A local time, or `off`. */
  readonly trainAt: string;
  readonly isLearningFromDiscord: boolean;
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
export function statusReply(figures: StatusFigures): string {
  const { health, counts, waiting, inFlight, learning } = figures;
  return [
    ...(health === undefined ? ["**Engine:** not running right now"] : engineLines(health)),
    `**Here:** answers in the making: ${inFlight - waiting}, waiting: ${waiting}`,
    counts === undefined
      ? "**Feedback:** the log can't be read right now"
      : `**Feedback:** ${counts.candidates} answers, ${counts.standingVotes} votes that stand`,
    `**Learning:** ${learningLine(learning)}`,
  ].join("\n");
}

/** The text of `/help`. @param name the bot's own */
export function helpReply(name: string, learning: Learning): string {
  return [
    `**Talk with ${name}**`,
    "• `/chat` asks a question; with `ephemeral` only you see the answer. `/thread` opens a thread for it.",
    `• Mention ${name}, reply to one of its answers, or write to it directly.`,
    "• In a thread that it takes part in, everybody's messages make one conversation. Elsewhere you have a conversation of your own in each channel.",
    "**Say what you think of an answer**",
    "• 👍 or 👎 below it, as button or reaction, or `/rate` from 1 to 5 with a comment.",
    "• Regenerate draws another answer: approve that one, and the bot learns the difference. Continue goes on, Stop ends.",
    "• Right-click an answer → Apps → Rate this answer, or Report this answer.",
    "• `/compare` shows two answers blind: vote for the better one.",
    "• Take a reaction back, or rate again, and the new word counts.",
    "• Refused wrongly, or not refused though it should have been? Right-click it → Apps → Appeal this answer; moderators decide, with `/moderation`.",
    "**What happens with it**",
    `• Learning: ${learningLine(learning)}.`,
    "• `/mydata` shows what I keep of you, gives it to you, erases it, and says whether I may learn from you.",
    "• Delete your question or an answer, and it is forgotten: its text is erased and never trained on.",
    ...(learning.privacyUrl === undefined ? [] : [`• Privacy: <${learning.privacyUrl}>`]),
    "• For a server's managers: `/settings`, `/persona`, `/adapter`, `/learning`.",
    "-# `/status` shows which model and adapter answers. It is a language model: check what matters.",
  ].join("\n");
}

/** What the rater is told. @param excerpt the rated answer's text */
export function ratingReply(outcome: CaptureOutcome, stars: number, excerpt: string): string {
  switch (outcome.kind) {
    case "recorded":
    case "duplicate":
      return `Saved: ${"★".repeat(stars)}${"☆".repeat(5 - stars)} for “${shorten(excerpt)}”. Rate it again to change that.`;
    case "ignored":
      return NO_SUCH_ANSWER;
    case "not_saved":
      return notSavedReply(outcome.isDiskFull);
  }
}

/** What a person is told whose thumb was saved. @param excerpt the answer's text */
export function voteReply(thumb: 1 | -1, excerpt: string): string {
  return `Saved: ${thumb === 1 ? "👍" : "👎"} for “${shorten(excerpt)}”. Vote again to change that.`;
}

/** What a reporter is told. @param isTold whether moderators got it, too */
export function reportedReply(isTold: boolean): string {
  return isTold
    ? "Thank you: the report is saved, and the moderators have been told."
    : "Thank you: the report is saved. This server has no report channel, so tell a moderator if it is urgent.";
}

/** What moderators are told. @param report what was reported, by whom, and the reporter's words */
export function reportNotice(report: {
  readonly category: string;
  readonly words: string;
  readonly url: string;
  readonly answer: string;
  readonly by: string;
}): string {
  return [
    `**Report** (${report.category}) by ${shorten(report.by)}: ${report.url}`,
    ...(report.words === "" ? [] : [`> ${shorten(report.words, REPORT_EXCERPT_CHARACTERS)}`]),
    `The answer: “${shorten(report.answer, REPORT_EXCERPT_CHARACTERS)}”`,
  ].join("\n");
}

/** The vote is withdrawn. */
export const TAKEN_BACK = "Taken back: you have no vote on that answer any more.";

/** Feedback could not be made durable. */
export function notSavedReply(isDiskFull: boolean): string {
  return isDiskFull
    ? "That was **not saved**: the bot's data disk is full. Please tell whoever hosts it, and try again later."
    : "That was **not saved**: the bot's feedback log can't be written. Please tell whoever hosts it, and try again later.";
}

/** No answer of ours is meant. */
export const NO_SUCH_ANSWER =
  "I found no answer of mine there that can be rated. Give the link of one (right-click it → Copy Message Link), or wait until it is finished.";

/** Why a question is not taken here, or from this person. */
export const DIRECT_ONLY_HINT = {
  channel: "I don't answer in this channel. The server's managers chose others in `/settings`.",
  role: "The server's managers let only some roles ask me questions.",
} as const;

/** The text of `/adapter list`. */
export function adapterList({ active, canary, adapters }: Adapters): string {
  const lines = adapters
    .slice(0, ADAPTERS_SHOWN)
    .map(({ name, gate_passed, created_at, problem }) => {
      const marks = [
        ...(name === active ? ["serves"] : []),
        ...(name === canary?.name
          ? [`on trial with ${Math.round(canary.share * 100)}% of the servers`]
          : []),
        ...(gate_passed === false ? ["refused by the gate"] : []),
        ...(problem === undefined ? [] : [problem]),
      ];
      const made = created_at === undefined ? "" : `, made ${created_at.slice(0, 10)}`;
      return `• **${name}**${made}${marks.length === 0 ? "" : `: ${marks.join("; ")}`}`;
    });
  const base = active === null ? "The base weights serve." : `**${active}** serves.`;
  return [base, ...lines].join("\n").slice(0, REPLY_CHARACTERS);
}

/** What an operator is told who changed which adapter serves. */
export function swapReply(after: {
  readonly active: string | null;
  readonly canary: { readonly name: string; readonly share: number } | null;
}): string {
  const { active, canary } = after;
  const serves = `${active ?? "The base weights"} ${active === null ? "serve" : "serves"} now.`;
  if (canary === null) return serves;
  return `${serves} On trial with ${Math.round(canary.share * 100)}% of the servers: ${canary.name}.`;
}

/** The text of `/learning status`. */
export function learningStatus(
  learning: Learning,
  now: { readonly isPaused: boolean; readonly isAllowedHere: boolean },
): string {
  return [
    `**Training:** ${now.isPaused ? "paused by an operator" : learningLine(learning)}`,
    `**This server's managers:** ${now.isAllowedHere ? "allow it" : "have not allowed it (`/settings`)"}`,
    "**Each person** decides alone: `/mydata consent`.",
  ].join("\n");
}

/** Why a question with files is not answered. @param reason as `attachmentProblem` words it */
export function unreadReply(reason: string): string {
  return `I can't answer that: ${reason}`;
}

/** A mention without a question. */
export const EMPTY_QUESTION = "Hello! Write your question behind the mention, or use `/chat`.";

function engineLines(health: Health): readonly string[] {
  const { model, adapter, queue } = health;
  return [
    `**Model:** ${model.id}, ${millions(model.parameters)} parameters, context ${model.context_tokens} tokens`,
    `**Adapter:** ${adapter ?? "none (base weights)"}`,
    `**Device:** ${model.device}`,
    `**Engine:** ${health.status}; ${queue.running} running, ${queue.waiting} waiting of at most ${queue.limit}`,
    ...health.problems.map((problem) => `-# ${problem}`),
  ];
}

function learningLine({ source, trainAt, isLearningFromDiscord }: Learning): string {
  if (source === "discord" && !isLearningFromDiscord) {
    return "off (votes are kept, but not trained on: LEARN_FROM_DISCORD is not set)";
  }
  return trainAt === "off"
    ? "on, when the host starts a training"
    : `on, every night at ${trainAt} from the votes given here`;
}

function millions(parameters: number): string {
  return parameters >= 1e9
    ? `${(parameters / 1e9).toFixed(1)} billion`
    : `${(parameters / 1e6).toFixed(1)} million`;
}

/** One line that cannot leave its quotation marks' line. */
function shorten(text: string, most = EXCERPT_CHARACTERS): string {
  const line = text.replaceAll(/[\s`*_~|>#]+/g, " ").trim();
  const short = [...line].slice(0, most).join("");
  return short === line ? line : `${short}…`;
}
