/** What /mydata replies. Pure text. */
import type { ConsentState, DataSummary, Forgotten } from "./personal-data.ts";

/** The three switches, and what follows from them. */
function consentLines(state: ConsentState): readonly string[] {
  const { source, isAttested, isGuildOn, own, isLearning } = state;
  const mark = (isOn: boolean) => (isOn ? "✅" : "⬜");
  const word =
    own === undefined ? "you have not said anything yet" : own ? "you agree" : "you refuse";
  return [
    ...(source === "discord"
      ? [`${mark(isAttested)} The host has stated that Discord permits learning from it`]
      : []),
    ...(isGuildOn === undefined ? [] : [`${mark(isGuildOn)} This server has switched learning on`]),
    `${mark(own === true)} Your own word: ${word}`,
    `→ The bot ${isLearning ? "**may learn** from you here" : "**does not learn** from you here"}.`,
  ];
}

/** `/mydata show`. */
export function summaryReply(summary: DataSummary, retentionDays: number): string {
  const { questions, votes, comments, conversations, rememberedTurns, adapters } = summary;
  return [
    "**What I keep of you**",
    `• Questions with their answers: ${questions}`,
    `• Votes and ratings that stand: ${votes}, comments: ${comments}`,
    `• Remembered conversations: ${conversations} (${rememberedTurns} messages)`,
    `• Adapters that learned from you: ${adapters.length === 0 ? "none" : adapters.join(", ")}`,
    "**May I learn from you?**",
    ...consentLines(summary.consent),
    `-# Texts are encrypted with a key of your own and erased after ${retentionDays} days. \`/mydata export\` gives you all of it, \`/mydata forget\` erases it.`,
  ].join("\n");
}

/** `/mydata consent`. @param adapters those that are replaced because the person took it back */
export function consentReply(state: ConsentState, adapters: readonly string[]): string {
  const head =
    state.own === true
      ? "Thank you. Your questions, votes and ratings may be learnt from, as long as you don't take it back."
      : "Noted: nothing of yours is learnt from.";
  return [head, ...consentLines(state), ...replaced(adapters)].join("\n");
}

/** Before anything is forgotten. */
export function forgetQuestion(summary: DataSummary): string {
  return [
    "**Forget everything that I keep of you?**",
    `${summary.questions} questions with their answers, ${summary.votes} votes and ${summary.conversations} remembered conversations are erased, and your key is destroyed. This can't be undone.`,
    ...replaced(summary.adapters),
  ].join("\n");
}

/** After it. */
export function forgottenReply(forgotten: Forgotten, trainAt: string): string {
  const { questions, votes, adapters } = forgotten;
  const when =
    trainAt === "off" ? "when the host starts the next training" : `tonight at ${trainAt}`;
  return [
    `Done: ${questions} questions with their answers and ${votes} votes are erased, and your key is destroyed.`,
    ...(adapters.length === 0
      ? ["No adapter has learned from you."]
      : [
          `These adapters learned from you: ${adapters.join(", ")}. They are trained anew without you ${when}, and removed.`,
        ]),
    "-# Messages that stand in Discord itself are yours to delete.",
  ].join("\n");
}

function replaced(adapters: readonly string[]): readonly string[] {
  return adapters.length === 0
    ? []
    : [`Adapters that learned from you are replaced at the next training: ${adapters.join(", ")}.`];
}
