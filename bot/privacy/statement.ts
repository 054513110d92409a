/** What people are told about their data, as a page. Pure text; the server is privacy-page.ts. */
import type { MessageKey } from "../language/english.ts";
import type { Language } from "../language/language.ts";

/** What the statement depends on. */
export type StatementFacts = {
  readonly botName: string;
  readonly retentionDays: number;
  readonly contact: string | undefined;
  readonly learnsFromDiscord: boolean;
  /** A local time, or `off`. */
  readonly trainAt: string;
};

const STYLE =
  "body{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#1c1e21;background:#fff}h1{font-size:1.6rem}nav{text-align:end}a{color:inherit}h2{font-size:1.15rem;margin-top:2rem}code{background:#eef;padding:.1em .3em;border-radius:.2em}@media(prefers-color-scheme:dark){body{color:#e6e7ea;background:#1e1f22}code{background:#333}}";

/** The page. @param languages all in which it can be read, for links to them */
export function privacyStatement(
  language: Language,
  facts: StatementFacts,
  languages: readonly Language[],
): string {
  const name = facts.botName;
  const sections = sectionsOf(language, facts).map(
    ([title, ...lines]) =>
      `<h2>${toHtml(title)}</h2>\n<ul>\n${lines.map((line) => `<li>${toHtml(line)}</li>`).join("\n")}\n</ul>`,
  );
  return `<!doctype html>
<html lang="${language.code}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${toHtml(language.say("page.title", { name }))}</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="${toHtml(language.say("page.languages"))}">${languages.map(toLink).join(" · ")}</nav>
<main>
<h1>${toHtml(language.say("page.heading", { name }))}</h1>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

type Section = readonly [title: string, ...lines: string[]];

function sectionsOf(language: Language, facts: StatementFacts): readonly Section[] {
  const { retentionDays: days, contact } = facts;
  const say = (key: Extract<MessageKey, `page.${string}`>) => language.asIs(key);
  return [
    [
      say("page.kept"),
      say("page.kept.questions"),
      say("page.kept.votes"),
      say("page.kept.consent"),
      say("page.kept.nothing_else"),
    ],
    [
      say("page.how"),
      say("page.how.where"),
      say("page.how.pseudonym"),
      say("page.how.encrypted"),
      language.say("page.how.retention", { days }),
    ],
    [say("page.learning"), learningLine(language, facts), say("page.learning.consent")],
    [
      say("page.rights"),
      say("page.rights.show"),
      say("page.rights.consent"),
      say("page.rights.forget"),
      say("page.rights.delete"),
    ],
    [say("page.contact"), contact ?? say("page.contact.host")],
  ];
}

function learningLine(language: Language, { learnsFromDiscord, trainAt }: StatementFacts): string {
  if (!learnsFromDiscord) return language.say("page.learning.off");
  return trainAt === "off"
    ? language.say("page.learning.on_demand")
    : language.say("page.learning.nightly", { time: trainAt });
}

function toLink({ code }: Language): string {
  const name = new Intl.DisplayNames(code, { type: "language" }).of(code) ?? code;
  return `<a href="?lang=${code}" hreflang="${code}" lang="${code}">${toHtml(name)}</a>`;
}

/** What stands between backticks is code. */
function toHtml(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
