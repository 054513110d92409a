/**
 * Whatever a person reads comes from the catalogue. A literal in the code would be read in English by all,
 * so each that looks like words for people has to stand where only operators, models or code read it.
 */
import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Literal, LiteralReader } from "./read-literals.ts";

/** Whose words are asked of the model, which is spoken to in English. */
const FOR_THE_MODEL = ["bot/answer/prompt.ts", "bot/conversation/summary.ts"];
/** The catalogue itself; stores, figures and what a lost connection means, for operators; what is looked for in words. */
const LEFT_OUT =
  /^bot\/(language\/|metrics\/|storage\/|discord\/client\.ts$|settings\/instruction-rules\.ts$)/;
/** Logged, thrown, or the name of an event in the log. */
const FOR_OPERATORS = /(^|[.#])log\.\w+$|Error$|^handle$|stdout\.write$/;
const FOR_STORES = /^(CREATE|SELECT|INSERT|UPDATE|DELETE|PRAGMA|ALTER)\b/;
/** What a server of the bot's own is, and what to do when its port is taken. */
const OF_OPERATORS = /^(what|remedy)$/;
/** Single literals, each with its reader. */
const OTHERS: ReadonlyMap<string, string> = new Map([
  ["Please go on exactly where you stopped.", "the model"],
  ["bot applications.commands", "Discord: scopes"],
  ["text/html; charset=utf-8", "browsers"],
  ["default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'", "browsers"],
  ["Only GET is served here.", "programs"],
  ["Not found.", "programs"],
]);
const LABELS = /^(content|label|placeholder|description|title)$/;
const LABELLING = /^(\.set(Label|Title|Placeholder|Description|Content)|replyPrivately)$/;

const files = globSync("bot/**/*.ts").filter((path) => !LEFT_OUT.test(path));

/** Two words, or one where a person reads it. */
function isForPeople({ text, callees, property }: Literal): boolean {
  if (callees.some((callee) => FOR_OPERATORS.test(callee)) || FOR_STORES.test(text.trim()))
    return false;
  if (OTHERS.has(text) || OF_OPERATORS.test(property) || /^body\{/.test(text)) return false;
  const shown = text.replaceAll(/<[^>]*>/g, "\n");
  const isSentence = /\p{L}{2,}[’'“”",.:;!?*]* +[“"*]*\p{L}{2,}/u.test(shown);
  const isLabel = LABELS.test(property) || LABELLING.test(callees.at(-1) ?? "");
  return isSentence || (isLabel && /\p{L}{2,}/u.test(shown));
}

function wordsIn(source: string): readonly string[] {
  return new LiteralReader(source).literals.filter(isForPeople).map(({ text }) => text);
}

describe("no words for people stand in the code", () => {
  test.each(files.filter((path) => !FOR_THE_MODEL.includes(path)))("%s", (path) => {
    expect(wordsIn(readFileSync(path, "utf8"))).toEqual([]);
  });

  test("the check reads nearly all of the bot", () => {
    expect(files.length).toBeGreaterThan(100);
    expect(files).toContain("bot/discord/commands/mydata.ts");
  });

  test.each([
    ['await replyPrivately(interaction, "Done.");'],
    ["return replyPrivately(interaction, `Case §{number} is closed.`);"],
    ['{ id, label: "Stop", style: "secondary" }'],
    ['new ModalBuilder().setTitle("Rate this answer")'],
    ['new LabelBuilder().setLabel("Role")'],
    ['return isOn ? "it is on" : key;'],
    ['const TEXT =\n  "The server decides.";'],
    ["return [`**Title**`, `Votes: §{list.map((each) => `§{each}`)} of them`].join()"],
    ['const half = (a + b) / 2; show("a literal behind a division"); c / 3'],
    ['const word = /["`]/; show("a literal behind an expression")'],
  ])("it would find %s", (source) => expect(wordsIn(source.replaceAll("§", "$"))).toHaveLength(1));

  test.each([
    ['log.warn({ err: error }, "an answer failed");'],
    ['this.#log.error({ err: f(x) }, "an answer failed");'],
    ['throw new CodedError(`No file (§{path}). Give another.`, { code: "config_invalid" });'],
    ['// it was "not there" before'],
    ['language.say("answer.stopped_early")'],
    ['db.prepare("SELECT body FROM cases WHERE id = ?")'],
    ["`§{CONTROL.stop}:§{candidateId}`"],
    ['{ what: "The privacy page", remedy: "Set another port." }'],
  ])("it would leave %s alone", (source) =>
    expect(wordsIn(source.replaceAll("§", "$"))).toEqual([]),
  );
});
