/**
 * Managers' words for the system prompt that ask the bot to set its rules aside, in the five languages
 * that it speaks. A first layer: whatever slips through stands below the project's prompt, and questions
 * and answers are checked in any case. Pure.
 */
import { cleanInput } from "#engine/moderation/normalise.ts";

/** Words that may stand between a verb and what it sets aside. */
const FEW_WORDS = "(?:[\\p{L}\\p{N}'’]+\\W+){0,6}?";
const NOT_NEGATED = "(?<!\\b(?:never|not|don['’]?t|nie|nicht|nunca|no|jamais|pas)\\W+)";
/** \b knows ASCII alone. */
const FROM = "(?<!\\p{L})";
const TO = "(?!\\p{L})";

const SETTING_ASIDE = [
  // English
  `${FROM}${NOT_NEGATED}(?:ignore|disregard|forget|override|overrule|bypass|disable|drop|break|circumvent|switch off|turn off|set aside|stop following|no longer follow)\\W+${FEW_WORDS}(?:rules?|polic(?:y|ies)|instructions?|guidelines?|restrictions?|filters?|safety|safeguards?|limitations?|moderation|system prompt|refusals?|guardrails?|everything above)${TO}`,
  `${FROM}(?:do not|don['’]?t|never|need not) (?:follow|obey|apply|keep to)\\W+${FEW_WORDS}(?:rules?|polic(?:y|ies)|instructions?|guidelines?|restrictions?)${TO}`,
  `${FROM}(?:without|no|zero) (?:any |all |more )?(?:rules|restrictions|limitations|refusals?|guidelines|safeguards|guardrails|censorship)${TO}`,
  `${FROM}(?:never|do not|don['’]?t|must not|may not|cannot|can['’]?t) (?:ever )?(?:refuse|decline)${TO}`,
  `${FROM}(?:help|assist|comply) with (?:any|every|all|illegal|criminal|unlawful)${TO}`,
  `${FROM}(?:uncensored|unfiltered|unrestricted|jailbroken|jailbreak|developer mode|do anything now)${TO}`,
  `${FROM}(?:takes? precedence over|replaces?|supersedes?|stands? above|outranks?)\\W+${FEW_WORDS}(?:rules?|polic(?:y|ies)|system prompt|instructions?)${TO}`,
  // German
  `${FROM}${NOT_NEGATED}(?:ignorier\\p{L}*|missacht\\p{L}*|vergiss|vergesst|umgeh\\p{L}*|brich|überschreib\\p{L}*)\\W+${FEW_WORDS}(?:regeln?|richtlinien?|anweisungen?|vorgaben?|beschränkungen?|filter|sicherheit\\p{L}*|grenzen)${TO}`,
  `${FROM}ohne (?:jede |alle )?(?:regeln|einschränkungen|beschränkungen|zensur)${TO}`,
  `${FROM}(?:lehne|verweigere|verweigert) (?:nie|niemals|nichts)${TO}`,
  // Spanish
  `${FROM}${NOT_NEGATED}(?:ignora\\p{L}*|olvida\\p{L}*|desobedece\\p{L}*|omite|sáltate|desactiva\\p{L}*)\\W+${FEW_WORDS}(?:reglas?|políticas?|instrucciones|normas|restricciones|filtros?|límites)${TO}`,
  `${FROM}sin (?:reglas|restricciones|censura)${TO}`,
  `${FROM}(?:nunca|no) (?:te niegues|rechaces)${TO}`,
  // French
  `${FROM}${NOT_NEGATED}(?:ignore\\p{L}*|oublie\\p{L}*|désobéis|contourne\\p{L}*|désactive\\p{L}*|enfreins)\\W+${FEW_WORDS}(?:règles?|politiques?|instructions?|consignes?|restrictions?|filtres?|limites)${TO}`,
  `${FROM}sans (?:aucune? )?(?:règles?|restrictions?|censure)${TO}`,
  `${FROM}ne refuse\\p{L}* (?:jamais|rien)${TO}`,
  // Japanese
  "(?:ルール|規則|ポリシー|指示|制限|命令|方針|フィルター)\\p{L}{0,3}?(?:無視|忘れ|破[りっ]|従わず|従わない|無効)",
  "(?:制限|規制|検閲)(?:なし|無し)",
  "(?:決して|絶対に)(?:断ら|拒否し|拒ま)ない",
].map((pattern) => new RegExp(pattern, "iu"));

/** Whether a text asks to set the rules aside. */
export function asksToSetRulesAside(text: string): boolean {
  const plain = cleanInput(text)
    .normalize("NFKC")
    .replaceAll(/[*_~`]+/g, "")
    .replaceAll(/\s+/g, " ");
  return SETTING_ASIDE.some((pattern) => pattern.test(plain));
}
