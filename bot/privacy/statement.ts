/** What people are told about their data, as a page. Pure text; the server is privacy-page.ts. */

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
  "body{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#1c1e21;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}code{background:#eef;padding:.1em .3em;border-radius:.2em}@media(prefers-color-scheme:dark){body{color:#e6e7ea;background:#1e1f22}code{background:#333}}";

/** The page. */
export function privacyStatement(facts: StatementFacts): string {
  const name = escapeHtml(facts.botName);
  const sections = sectionsOf(facts).map(
    ([title, ...lines]) =>
      `<h2>${title}</h2>\n<ul>\n${lines.map((line) => `<li>${line}</li>`).join("\n")}\n</ul>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Privacy – ${name}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>What ${name} keeps of you, and how to have it deleted</h1>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

function sectionsOf(facts: StatementFacts): readonly (readonly [string, ...string[]])[] {
  return [
    [
      "What is kept",
      "Questions that you ask the bot, with the conversation that they belong to, and its answers.",
      "Your 👍, 👎, ratings and comments on answers.",
      "What you said about learning, and when.",
      "Messages that are not meant for the bot are not kept.",
    ],
    [
      "How it is kept",
      "On the machine of whoever hosts this bot; nothing is sent to a cloud service.",
      "Your Discord id is replaced by a pseudonym before anything is stored.",
      "Texts are encrypted with a key of your own (AES-256-GCM).",
      `Questions and answers are erased after ${facts.retentionDays} days, conversations after 30 days without a word.`,
    ],
    ["What the bot learns", ...learningLines(facts)],
    [
      "What you can do",
      "<code>/mydata show</code> tells you what is kept, <code>/mydata export</code> gives it to you as a file.",
      "<code>/mydata consent</code> says whether the bot may learn from you; you can take it back at any time.",
      "<code>/mydata forget</code> erases your texts and votes and destroys your key, so that copies in backups can't be read either. Models that learned from you are replaced at the next training.",
      "Delete or edit a message, and what the bot keeps of it is erased.",
    ],
    [
      "Whom to ask",
      facts.contact === undefined
        ? "The admins of the server, or whoever hosts this bot."
        : escapeHtml(facts.contact),
    ],
  ];
}

function learningLines({ learnsFromDiscord, trainAt }: StatementFacts): string[] {
  const when = trainAt === "off" ? "when its host starts a training" : `every night at ${trainAt}`;
  return [
    learnsFromDiscord
      ? `The bot learns ${when}, from votes on answers, where a server has switched that on and everyone concerned has agreed.`
      : "The bot does not learn from Discord: its host has not stated that Discord permits it.",
    "It never learns from somebody who has not agreed with <code>/mydata consent</code>.",
  ];
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
