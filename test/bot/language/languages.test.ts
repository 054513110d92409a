import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadLanguages } from "#bot/language/languages.ts";
import { preferredLanguage } from "#bot/language/preferred.ts";

const folder = mkdtempSync(join(tmpdir(), "languages-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the language for a locale", () => {
  const languages = loadLanguages(undefined, () => undefined);
  test.each([
    ["de", "de"],
    ["de-AT", "de"],
    ["es-ES", "es"],
    ["es-419", "es"],
    ["en-US", "en"],
    ["en-GB", "en"],
    ["ja", "ja"],
    ["ko", "en"],
    ["", "en"],
    [undefined, "en"],
    [null, "en"],
  ])("%s is %s", (locale, code) => expect(languages.of(locale).code).toBe(code));

  test("numbers, dates, lists and plural forms are the language's own", () => {
    const [en, de, fr, ja] = ["en", "de", "fr", "ja"].map((code) => languages.of(code));
    expect(de?.say("queue.behind", { count: 1_234 })).toContain("1.234 Fragen sind");
    expect(en?.say("queue.behind", { count: 1_234 })).toContain("1,234 questions go");
    // French counts none as one.
    expect(fr?.say("compare.votes", { count: 0 })).toBe("0 vote");
    expect(en?.say("compare.votes", { count: 0 })).toBe("0 votes");
    expect(ja?.say("compare.votes", { count: 2 })).toBe("2票");
    expect(de?.magnitude(7_240_000_000)).toBe("7,2 Milliarden");
    const date = new Date("2026-11-24T23:30:00Z");
    expect(de?.say("adapter.made", { name: "night-1", date })).toBe(
      "**night-1**, erstellt am 24.11.2026",
    );
    expect(ja?.list(["a", "b"])).toBe("a、b");
  });

  test("what is filled in is not filled in again, nor taken for a pattern", () => {
    const said = languages.english.say("compare.text", { first: "{second} $& $1", second: "b" });
    expect(said).toBe("**Answer A**\n{second} $& $1\n\n**Answer B**\nb");
  });
});

describe("a browser's wish", () => {
  const languages = loadLanguages(undefined, () => undefined);
  test.each([
    ["de-AT,de;q=0.9,en;q=0.5", "de"],
    ["ko,fr;q=0.7,ja;q=0.8", "ja"],
    ["en;q=0.3, es", "es"],
    ["ko, *;q=0.1", "en"],
    ["de;q=0, fr;q=0.1", "fr"],
    ["nonsense;;;q=x,,", "en"],
    [undefined, "en"],
  ])("%s is heard: %s", (header, code) => {
    expect(preferredLanguage(languages, header).code).toBe(code);
  });
});

describe("an operator's folder", () => {
  const told: string[] = [];
  const write = (name: string, messages: object) =>
    writeFileSync(join(folder, name), JSON.stringify(messages));
  beforeAll(() => {
    write("pt-BR.json", {
      "answer.stopped": "parada",
      "queue.behind": {
        one: "{count} pergunta",
        many: "{count} de perguntas",
        other: "{count} perguntas",
      },
      "chat.unread": "Não.",
    });
    write("de.json", { "answer.stopped": "unterbrochen" });
    writeFileSync(join(folder, "README.md"), "not a language");
  });

  test("adds a language, and replaces single messages of one that there is", () => {
    const languages = loadLanguages(folder, (_, problem) => told.push(problem));
    expect(languages.codes).toContain("pt-BR");
    expect(languages.of("pt-BR").say("answer.stopped")).toBe("parada");
    expect(languages.of("pt-PT").say("queue.behind", { count: 1 })).toBe("1 pergunta");
    expect(languages.of("pt-BR").say("queue.behind", { count: 3_000_000 })).toContain(
      "de perguntas",
    );
    expect(languages.of("de").say("answer.stopped")).toBe("unterbrochen");
    expect(languages.of("de").say("queue.next")).toBe("Du bist als Nächstes dran.");
    expect(languages.of("pt-BR").say("queue.next")).toBe("You are next in the queue.");
  });

  test("its mistakes are told, message by message", () => {
    expect(told).toContain("chat.unread: missing placeholder {reason}");
    expect(
      told.some((problem) => /messages are missing, and are said in English/.test(problem)),
    ).toBe(true);
  });

  test.each(["nonsense_.json", "PT.json", "notes on it.json"])(
    "a file named %s is refused with what was expected",
    (name) => {
      const other = join(folder, "other");
      mkdirSync(other, { recursive: true });
      writeFileSync(join(other, name), "{}");
      expect(() => loadLanguages(other, () => undefined)).toThrow(
        /Expected a locale such as pt-BR/,
      );
      rmSync(other, { recursive: true });
    },
  );

  test("a folder that is not there is refused", () => {
    expect(() => loadLanguages(join(folder, "nowhere"), () => undefined)).toThrow(/LANGUAGE_DIR/);
  });
});
