/**
 * A server's own AutoMod keyword rules, for the bot's answers: Discord exempts bots from them. Pure.
 * https://discord.com/developers/docs/resources/auto-moderation#auto-moderation-rule-object-trigger-metadata
 */

/** One rule, as far as it can be applied here. */
export type KeywordRule = {
  readonly id: string;
  readonly name: string;
  /** Words or phrases; `*` at an end stands for anything. */
  readonly keywords: readonly string[];
  /** Rust's syntax; what JavaScript cannot read is left out and told. */
  readonly patterns: readonly string[];
  /** What stands in spite of the keywords. */
  readonly allowed: readonly string[];
  readonly exemptChannelIds: readonly string[];
};

/** A rule that is ready to be applied. */
export type CompiledRule = {
  readonly id: string;
  readonly name: string;
  readonly matches: (text: string) => boolean;
  readonly exemptChannelIds: readonly string[];
  /** Patterns that JavaScript cannot read. */
  readonly unreadable: readonly string[];
};

/** Discord's longest pattern; longer ones can't be in a rule. */
const PATTERN_CHARACTERS = 260;
const WORD = "[\\p{L}\\p{N}_]";

/** Compiles a rule. */
export function compileRule(rule: KeywordRule): CompiledRule {
  const keywords = toExpression(rule.keywords);
  const allowed = toExpression(rule.allowed);
  const compiled = rule.patterns.map((pattern) => toPattern(pattern));
  const patterns = compiled.filter((pattern) => pattern !== undefined);
  const matches = (text: string): boolean => {
    const judged = text.normalize("NFKC");
    const rest = allowed === undefined ? judged : judged.replaceAll(allowed, " ");
    if (keywords !== undefined && rest.search(keywords) !== -1) return true;
    return patterns.some((pattern) => rest.search(pattern) !== -1);
  };
  return {
    id: rule.id,
    name: rule.name,
    matches,
    exemptChannelIds: rule.exemptChannelIds,
    unreadable: rule.patterns.filter((_, index) => compiled[index] === undefined),
  };
}

/** The first rule that a text breaks in a channel. @param channelIds the channel, its parent, its category */
export function brokenRule(
  rules: readonly CompiledRule[],
  text: string,
  channelIds: readonly string[],
): CompiledRule | undefined {
  return rules.find(
    (rule) => !rule.exemptChannelIds.some((id) => channelIds.includes(id)) && rule.matches(text),
  );
}

function toExpression(keywords: readonly string[]): RegExp | undefined {
  const parts = keywords
    .map((keyword) => keyword.trim())
    .filter((keyword) => /[^*\s]/.test(keyword));
  if (parts.length === 0) return undefined;
  return new RegExp(parts.map(keywordSource).join("|"), "giu");
}

/** `cat*` matches "category", `*cat` "tomcat", `*cat*` both, `cat` the word alone. */
function keywordSource(keyword: string): string {
  const opensAnywhere = keyword.startsWith("*");
  const endsAnywhere = keyword.endsWith("*");
  const core = keyword.replaceAll(/^\*+|\*+$/g, "").normalize("NFKC");
  const body = core.split(/\s+/).map(escapeExpression).join("\\s+");
  return `${opensAnywhere ? "" : `(?<!${WORD})`}${body}${endsAnywhere ? "" : `(?!${WORD})`}`;
}

function escapeExpression(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** Rust's expressions have no look-around or back references, and run in linear time; JavaScript's need not. */
function toPattern(source: string): RegExp | undefined {
  const isRisky = source.length > PATTERN_CHARACTERS || /\([^)]*[+*][^)]*\)[+*{]/.test(source);
  if (isRisky) return undefined;
  const [, flags = "", rest = source] = /^\(\?([imsx]+)\)(.*)$/s.exec(source) ?? [];
  if (flags.includes("x")) return undefined;
  try {
    return new RegExp(rest, `u${[...new Set(`i${flags}`)].join("")}`);
  } catch {
    return undefined;
  }
}
