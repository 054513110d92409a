import { globSync, readFileSync } from "node:fs";
import { Locale, type RESTPostAPIApplicationCommandsJSONBody } from "discord-api-types/v10";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "#bot/commands/definitions.ts";
import { localised } from "#bot/commands/localise.ts";
import { helpReply } from "#bot/commands/replies.ts";
import { readCatalogue } from "#bot/language/catalogue.ts";
import { ENGLISH, isMessageKey, type MessageKey } from "#bot/language/english.ts";
import { loadLanguages } from "#bot/language/languages.ts";
import { limitProblem } from "#bot/language/limits.ts";
import { placeholdersOf, textsOf } from "#bot/language/message.ts";
import { reasonFor } from "#engine/moderation/policy.ts";
import { supportText } from "#engine/moderation/support.ts";

const problems: string[] = [];
const languages = loadLanguages(undefined, (path, problem) => problems.push(`${path}: ${problem}`));
const foreign = languages.codes.filter((code) => code !== "en");
const keys = Object.keys(ENGLISH).filter(isMessageKey);

describe("every language that comes with the bot", () => {
  test("is there: English, German, Spanish, French and Japanese", () => {
    expect(languages.codes).toEqual(["de", "en", "es", "fr", "ja"]);
  });

  test("has every message, with the placeholders of the English one, within Discord's limits", () => {
    expect(problems).toEqual([]);
  });

  test.each(foreign)("%s leaves no sentence in English", (code) => {
    const language = languages.of(code);
    const left = keys.filter((key) => {
      const text = textsOf(ENGLISH[key]).at(-1) ?? "";
      const words = text.replaceAll(/\{\w+\}/g, "").match(/\p{L}{2,}/gu) ?? [];
      return words.length > 2 && language.asIs(key) === text;
    });
    expect(left).toEqual([]);
  });

  test.each(languages.codes)("%s names only commands that there are", (code) => {
    const names = new Set(localisedNames(code));
    for (const key of keys) {
      for (const [, name = ""] of languages
        .of(code)
        .asIs(key)
        .matchAll(/`\/([^`\s]+)/g)) {
        expect(names, `${key} in ${code}`).toContain(name);
      }
    }
  });

  test.each(languages.codes)("%s explains every command in /help, within one message", (code) => {
    const learning = {
      source: "discord",
      trainAt: "off",
      isLearningFromDiscord: false,
      isConsentAssumed: true,
      privacyUrl: `https://example.org/${"x".repeat(100)}`,
    } as const;
    const help = helpReply(languages.of(code), "A name of thirty-two characters.", learning);
    for (const name of localisedNames(code)) {
      if (name !== languages.of(code).asIs("command.help.name")) expect(help).toContain(name);
    }
    expect(help.length).toBeLessThanOrEqual(2_000);
  });
});

/** What the commands and the entries of the message menu are called. */
function localisedNames(code: string): readonly string[] {
  const all = keys.filter((key) => /^(menu\.[a-z]+|command\.[a-z]+\.name)$/.test(key));
  return all.map((key) => languages.of(code).asIs(key));
}

describe("English", () => {
  test("keeps to Discord's limits", () => {
    for (const key of keys) {
      for (const text of textsOf(ENGLISH[key]))
        expect(limitProblem(key, text), key).toBeUndefined();
    }
  });

  test("says of what was withheld just what the engine says", () => {
    const { english } = languages;
    for (const key of keys) {
      const [, kind, category = ""] = /^withheld\.(asking|why)\.(.+)$/.exec(key) ?? [];
      if (kind === "asking") expect(english.asIs(key)).toBe(reasonFor(category, "input"));
      if (kind === "why") {
        const why = english.asIs(key);
        expect(english.say("withheld.answer", { why })).toBe(reasonFor(category, "output"));
      }
    }
  });
});

test("every message is said somewhere", () => {
  const code = globSync("bot/**/*.ts", { exclude: (name) => name === "bot/language/english" })
    .filter((path) => !path.startsWith("bot/language/"))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  // Keys are written whole, or as a template whose beginning is written.
  const beginnings = [...code.matchAll(/`([a-z][\w.]*\.)\$\{/g)].map(([, beginning]) => beginning);
  const unsaid = keys.filter(
    (key) =>
      !/^command\./.test(key) &&
      !code.includes(`"${key}"`) &&
      !beginnings.some((beginning) => beginning !== undefined && key.startsWith(beginning)),
  );
  expect(unsaid).toEqual([]);
});

test.each(foreign)("the engine has help lines in %s", (code) => {
  expect(supportText(code)).not.toBe(supportText("en"));
});

type Part = {
  readonly name: string;
  readonly description?: string;
  readonly name_localizations?: object | null;
  readonly description_localizations?: object | null;
  readonly options?: readonly Part[];
  readonly choices?: readonly Part[];
};

function partsOf(part: Part): readonly Part[] {
  const inner = [...(part.options ?? []), ...(part.choices ?? [])];
  return [part, ...inner.flatMap(partsOf)];
}

function toPart(command: RESTPostAPIApplicationCommandsJSONBody): Part {
  return JSON.parse(JSON.stringify(command));
}

const registered = localised(COMMANDS, languages).map(toPart);
const LOCALES = ["de", "es-419", "es-ES", "fr", "ja"];

describe("the commands in every language", () => {
  test("each name, description and choice is there for each of Discord's locales that is spoken", () => {
    for (const part of registered.flatMap(partsOf)) {
      expect(Object.keys(part.name_localizations ?? {}).sort(), part.name).toEqual(LOCALES);
      if (part.description === undefined) continue;
      expect(Object.keys(part.description_localizations ?? {}).sort(), part.name).toEqual(LOCALES);
    }
  });

  test("English is the default, under the names by which the bot knows its commands", () => {
    for (const key of keys) {
      const path = /^command\.(.+)\.name$/.exec(key)?.[1]?.split(".");
      if (path !== undefined) expect(ENGLISH[key]).toBe(path.at(-1));
    }
    expect(registered.map(({ name }) => name)).toEqual(COMMANDS.map(({ name }) => name));
  });

  test.each(LOCALES)("no two have one name in %s, nor two options of one command", (locale) => {
    const nameOf = (part: Part) =>
      new Map(Object.entries(part.name_localizations ?? {})).get(locale);
    const siblings = [
      registered,
      ...registered.flatMap(partsOf).map(({ options }) => options ?? []),
    ];
    for (const group of siblings) {
      const names = group.map(nameOf);
      expect(new Set(names).size, names.join()).toBe(names.length);
    }
  });

  test("no command is over 8,000 characters, counting the longest words of each part", () => {
    for (const command of registered) {
      const counted = partsOf(command).map(
        (part) =>
          longest(part.name, part.name_localizations) +
          longest(part.description ?? "", part.description_localizations),
      );
      expect(counted.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(8_000);
    }
  });
});

function longest(text: string, others: object | null | undefined): number {
  const lengths = Object.values(others ?? {}).map((other) => String(other).length);
  return Math.max(text.length, ...lengths);
}

describe("a language's file", () => {
  const read = (messages: object) => readCatalogue(JSON.stringify(messages));

  test("is taken message by message; what it lacks is named", () => {
    const { messages, problems: told, missing } = read({ "answer.stopped": "fermato" });
    expect(messages).toEqual({ "answer.stopped": "fermato" });
    expect(told).toEqual([]);
    expect(missing).toHaveLength(keys.length - 1);
  });

  test.each<[string, object, string]>([
    ["a key that there is not", { "answer.stoped": "x" }, "no message of this key"],
    ["an unknown placeholder", { "chat.unread": "{reason} {why}" }, "unknown placeholder {why}"],
    ["a placeholder that is missing", { "chat.unread": "No." }, "missing placeholder {reason}"],
    ["a lone brace", { "answer.stopped": "fermato {" }, "a brace without its other one"],
    ["a number in place of a text", { "answer.stopped": 5 }, "expected a text"],
    [
      "a plural form that there is not",
      { "queue.behind": { other: "x {count}", two_: "y" } },
      "two_",
    ],
    ["plural forms without other", { "queue.behind": { one: "x" } }, "expected a text"],
    ["plural forms without a number", { "answer.stopped": { other: "x" } }, "no number"],
    ["a command's name with a capital", { "command.chat.name": "Chat" }, "lower-case"],
    ["a command's name with a space", { "command.chat.name": "a chat" }, "lower-case"],
    [
      "a label over 45 characters",
      { "title.rate": "x".repeat(46) },
      "at most 45 characters, got 46",
    ],
    ["an empty text", { "answer.stopped": " " }, "expected some text"],
  ])("%s is told and leaves the English words", (_, messages, problem) => {
    const [key = ""] = Object.keys(messages);
    const { messages: taken, problems: told } = read(messages);
    expect(taken).toEqual({});
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(`${key}: `);
    expect(told[0]).toContain(problem);
  });

  test.each(["", "[]", "null", "{", '"text"'])("%j is no file of messages", (text) => {
    const { messages, problems: told } = readCatalogue(text);
    expect(messages).toEqual({});
    expect(told).toEqual(["expected an object of messages by their keys"]);
  });

  test("every key of English could be in it", () => {
    for (const key of keys) expect(placeholdersOf(ENGLISH[key])).toBeInstanceOf(Array);
    const all: Partial<Record<MessageKey, unknown>> = ENGLISH;
    expect(readCatalogue(JSON.stringify(all))).toMatchObject({ problems: [], missing: [] });
  });
});

test("Discord has the locales that the tests name", () => {
  const known: readonly string[] = Object.values(Locale);
  for (const locale of LOCALES) expect(known).toContain(locale);
});
