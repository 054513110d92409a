/** What /mydata replies. Pure text. */
import { SMALL } from "../answer/wording.ts";
import type { Language } from "../language/language.ts";
import type { ConsentState, DataSummary, Forgotten } from "./personal-data.ts";

/** The three switches, and what follows from them. */
function consentLines(language: Language, state: ConsentState): readonly string[] {
  const { source, isAttested, isGuildOn, own, isLearning } = state;
  const mark = (isOn: boolean) => (isOn ? "✅" : "⬜");
  const word = own === undefined ? "unsaid" : own ? "agreed" : "refused";
  return [
    ...(source === "discord" ? [`${mark(isAttested)} ${language.say("consent.attested")}`] : []),
    ...(isGuildOn === undefined ? [] : [`${mark(isGuildOn)} ${language.say("consent.guild")}`]),
    `${mark(own === true)} ${language.say(`consent.${word}`)}`,
    language.say(isLearning ? "consent.learns" : "consent.learns_not"),
  ];
}

/** `/mydata show`. */
export function summaryReply(
  language: Language,
  summary: DataSummary,
  retentionDays: number,
): string {
  const { questions, votes, comments, conversations, rememberedTurns, adapters } = summary;
  return [
    language.say("data.title"),
    language.say("data.questions", { questions }),
    language.say("data.votes", { votes, comments }),
    language.say("data.conversations", { conversations, count: rememberedTurns }),
    adapters.length === 0
      ? language.say("data.no_adapters")
      : language.say("data.adapters", { adapters: language.list(adapters) }),
    language.say("consent.title"),
    ...consentLines(language, summary.consent),
    `${SMALL}${language.say("data.footer", { days: retentionDays })}`,
  ].join("\n");
}

/** `/mydata consent`. @param adapters those that are replaced because the person took it back */
export function consentReply(
  language: Language,
  state: ConsentState,
  adapters: readonly string[],
): string {
  const head = language.say(state.own === true ? "consent.thanks" : "consent.noted");
  return [head, ...consentLines(language, state), ...replaced(language, adapters)].join("\n");
}

/** Before anything is forgotten. */
export function forgetQuestion(language: Language, summary: DataSummary): string {
  return [
    language.say("forget.title"),
    language.say("forget.what", {
      questions: language.say("counted.questions", { count: summary.questions }),
      votes: language.say("counted.votes", { count: summary.votes }),
      conversations: language.say("counted.conversations", { count: summary.conversations }),
    }),
    ...replaced(language, summary.adapters),
  ].join("\n");
}

/** After it. */
export function forgottenReply(language: Language, forgotten: Forgotten, trainAt: string): string {
  return [
    language.say("forget.done", {
      questions: language.say("counted.questions", { count: forgotten.questions }),
      votes: language.say("counted.votes", { count: forgotten.votes }),
    }),
    retrained(language, forgotten.adapters, trainAt),
    `${SMALL}${language.say("forget.footer")}`,
  ].join("\n");
}

function retrained(language: Language, names: readonly string[], time: string): string {
  if (names.length === 0) return language.say("forget.no_adapter");
  const adapters = language.list(names);
  return time === "off"
    ? language.say("forget.adapters_later", { adapters })
    : language.say("forget.adapters_at", { adapters, time });
}

function replaced(language: Language, names: readonly string[]): readonly string[] {
  return names.length === 0
    ? []
    : [language.say("data.replaced", { adapters: language.list(names) })];
}
