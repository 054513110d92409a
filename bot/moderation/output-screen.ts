/**
 * What of an answer may be shown in a server: its own AutoMod rules and its policy on links, applied
 * while the answer grows. Pure; the engine has checked the text for everybody before.
 */
import type { Language } from "../language/language.ts";
import { brokenRule, type CompiledRule } from "./keyword-rules.ts";
import { applyLinkPolicy, type LinkPolicy, mayBecomeLink } from "./link-policy.ts";

/** What comes of a text. */
type Screened =
  | { readonly kind: "shown"; readonly text: string }
  | { readonly kind: "broken"; readonly rule: CompiledRule };

/** Judges an answer, again and again as it grows. */
export type OutputScreen = {
  /** @param isWhole whether nothing follows; until then the end is held back, where a word may go on */
  apply(text: string, isWhole: boolean): Screened;
};

/** Discord's longest keyword: what may still turn out to be one is not shown. */
const HELD_CHARACTERS = 60;

/** A screen by a server's rules. @param onDryRun told of a broken rule that is only logged */
export function screenBy(rules: {
  readonly rules: readonly CompiledRule[];
  readonly links: LinkPolicy;
  readonly channelIds: readonly string[];
  readonly language: Language;
  readonly onDryRun?: (rule: CompiledRule) => void;
}): OutputScreen {
  return {
    apply: (text, isWhole) => {
      const rule = brokenRule(rules.rules, text, rules.channelIds);
      if (rule !== undefined && rules.onDryRun === undefined) return { kind: "broken", rule };
      if (rule !== undefined) rules.onDryRun?.(rule);
      const safe = isWhole ? text : text.slice(0, safeEnd(text, rules.rules.length > 0));
      return { kind: "shown", text: applyLinkPolicy(safe, rules.links, rules.language) };
    },
  };
}

/** With rules, where the last phrase begins; without, where a link or invitation may be beginning. */
function safeEnd(text: string, hasRules: boolean): number {
  const held = hasRules ? Math.max(0, text.length - HELD_CHARACTERS) : text.length;
  const word = /\S+$/.exec(text.slice(0, held))?.[0] ?? "";
  return hasRules || mayBecomeLink(word) ? held - word.length : held;
}
