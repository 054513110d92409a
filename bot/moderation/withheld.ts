/** Why something was withheld, in a person's language. Pure; the engine decides, this only words it. */
import { isMessageKey, type MessageKey } from "../language/english.ts";
import type { Language } from "../language/language.ts";

/** What the engine says of it. */
export type Verdict = {
  readonly stage: "input" | "output";
  /** Llama Guard's S1–S14, or one of the engine's own. */
  readonly category: string;
  /** The engine's own sentence, in English; help lines in the person's language where it speaks of self-harm. */
  readonly reason: string;
};

/** The category of what breaks a rule of the server itself. */
export const SERVER_RULE = "server_rule";
/** Suicide and self-harm: whoever asks is shown help lines, which are the engine's. */
export const SELF_HARM = "S11";

/** The sentence to show. @param verdict undefined where the engine gave none */
export function withheldText(language: Language, verdict: Verdict | undefined): string {
  if (verdict === undefined) return language.say("withheld.rest");
  const { stage, category, reason } = verdict;
  if (category === SERVER_RULE) return language.say("withheld.server_rule");
  const isPlea = category === SELF_HARM && stage === "input";
  if (isPlea || language.isEnglish) return reason;
  const asking = keyOf(`withheld.asking.${category}`);
  if (stage === "input" && asking !== undefined) return language.asIs(asking);
  const why = language.asIs(keyOf(`withheld.why.${category}`) ?? "withheld.why.other");
  return language.say(stage === "input" ? "withheld.message" : "withheld.answer", { why });
}

function keyOf(key: string): MessageKey | undefined {
  return isMessageKey(key) ? key : undefined;
}
