/** The text of `/learning status`: whether this server is learnt from, who has allowed it, and who has not. Pure. */
import type { Language } from "../language/language.ts";
import type { Learning } from "./replies.ts";

/** How things stand now in one server. */
export type LearningNow = {
  /** By an operator. */
  readonly isPaused: boolean;
  /** By the server's managers. */
  readonly isAllowedHere: boolean;
  /** Messages that are read again, because they may have changed unheard. */
  readonly unread: number;
};

/** First what comes of it all, then each permission, then what a vote alone can teach. */
export function learningStatus(language: Language, learning: Learning, now: LearningNow): string {
  const { unread } = now;
  return [
    summary(language, learning, now),
    ...permissions(language, learning, now),
    language.say("learning.lone_dislike"),
    ...(unread === 0 ? [] : [language.say("learning.behind", { count: unread })]),
  ].join("\n");
}

function summary(language: Language, learning: Learning, now: LearningNow): string {
  const { source, isLearningFromDiscord, trainAt } = learning;
  const isAllowed = source !== "discord" || (isLearningFromDiscord && now.isAllowedHere);
  if (!isAllowed) return language.say("learning.here.off");
  if (now.isPaused) return language.say("learning.here.paused");
  return trainAt === "off"
    ? language.say("learning.here.on_demand")
    : language.say("learning.here.nightly", { time: trainAt });
}

/** In the local Discord, whose people are its host's own inventions, nobody else is asked. */
function permissions(
  language: Language,
  { source, isLearningFromDiscord, isConsentAssumed }: Learning,
  { isAllowedHere }: LearningNow,
): readonly string[] {
  if (source !== "discord") {
    return [language.say(isConsentAssumed ? "learning.local.assumed" : "learning.local.asked")];
  }
  return [
    language.say(isLearningFromDiscord ? "learning.host.allows" : "learning.host.forbids"),
    language.say(isAllowedHere ? "learning.managers.allow" : "learning.managers.forbid"),
    language.say("learning.people.asked"),
  ];
}
