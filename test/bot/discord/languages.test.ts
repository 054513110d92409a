import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type APIMessage, Locale } from "discord-api-types/v10";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startBot } from "#bot/discord/start-bot.ts";
import type { InteractionOutcome } from "#deploy/playground/interactions/desk.ts";
import type { Person } from "#deploy/playground/people/person.ts";
import { createLog } from "#engine/base/log.ts";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let log: string;
/** Speaks German, and owns the server. */
let mira: Person;
/** Speaks Japanese. */
let aiko: Person;
/** Speaks English. */
let sade: Person;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
  log = lounge.playground.channelId("workshop");
  [mira, aiko, sade] = ["mira", "aiko", "sade"].map((name) => lounge.playground.person(name)) as [
    Person,
    Person,
    Person,
  ];
  mira.setLocale(Locale.German);
  aiko.setLocale(Locale.Japanese);
});
afterAll(() => lounge.close());
afterEach(() => {
  lounge.playground.moderators.setLocale(Locale.EnglishUS);
});

const says = (text: string) => lounge.playground.waitFor(({ content }) => content.includes(text));
const answers = (text: string) => {
  lounge.engine.script = () => [{ text }, { end: "stop" }];
};
const contentOf = (outcome: InteractionOutcome) =>
  outcome.kind === "message" ? outcome.message.content : outcome.kind;
const labelsOf = (message: APIMessage) =>
  [...JSON.stringify(message.components).matchAll(/"label":"([^"]*)"/g)].map(([, label]) => label);
const finished = (text: string) => finishedAnswer(lounge, text);

describe("what one person sees alone is in their language", () => {
  test("German: replies, buttons, forms and refusals", async () => {
    expect(contentOf(await mira.slash(general, "help"))).toContain("**Sprich mit Zephyr**");
    await mira.slash(general, "mydata show");
    await says("**Was ich über dich aufbewahre**");
    await mira.slash(general, "mydata forget");
    expect(labelsOf(await says("Alles vergessen, was ich"))).toEqual(["Vergiss mich", "Behalten"]);
    expect(await mira.slash(general, "persona write")).toMatchObject({
      kind: "modal",
      modal: {
        title: "Eine Persona",
        components: [{ label: "Name" }, { label: "Wie sie spricht" }],
      },
    });
    await mira.submitModal({ name: "Möwe", text: "Sprich wie eine Möwe." });
    expect(
      contentOf(await mira.slash(general, "rate", { stars: 5, message: "1234567890123456" })),
    ).toContain("keine Antwort von mir gefunden");
  });

  test("German: an ephemeral answer with its buttons and footer, and what its vote is told", async () => {
    answers("Nur für dich.");
    await mira.slash(general, "chat", { text: "Hallo?", ephemeral: true });
    const answer = await finished("Nur für dich.");
    expect(answer.content).toContain("-# nano · Basisgewichte");
    expect(labelsOf(answer)).toEqual(["Neu erzeugen", "Fortsetzen"]);
    const voted = await mira.press(answer.id, buttonId(answer, "vote:+") ?? "");
    expect(contentOf(voted)).toBe(
      "Gespeichert: 👍 für „Nur für dich.“. Stimm noch einmal ab, um das zu ändern.",
    );
  });

  test("German: the settings' panel, and what is wrong with a file", async () => {
    await mira.slash(general, "settings show");
    const panel = await says("**Einstellungen dieses Servers**");
    expect(labelsOf(panel)).toContain("Nächste Seite");
    const file = Buffer.from('{"memory":"elephant"}').toString("base64");
    const given = { name: "settings.json", contentType: "application/json", base64: file };
    await mira.slash(general, "settings import", { file: given });
    expect((await says("Nichts wurde geändert: memory")).content).toMatch(/Ungültig/);
  });

  test("Japanese: the same commands", async () => {
    expect(contentOf(await aiko.slash(general, "help"))).toContain("**Zephyr と話す**");
    await aiko.slash(general, "mydata show");
    await says("**あなたについて保存しているもの**");
    await aiko.slash(general, "status");
    await says("**学習：**");
    const consent = await aiko.slash(general, "mydata consent", { learning: false });
    expect(contentOf(consent)).toContain("承知しました");
  });

  test("Japanese: the form of a menu's entry, which is named in English to the bot", async () => {
    answers("An answer to rate.");
    sade.say(general, `${BOT} one to rate`);
    const answer = await finished("An answer to rate.");
    expect(await aiko.messageCommand("Rate this answer", answer.id)).toMatchObject({
      modal: { title: "この回答を評価" },
    });
    const sent = await aiko.submitModal({ stars: ["4"], comment: "" });
    expect(contentOf(sent)).toBe(
      "「An answer to rate.」への評価 ★★★★☆ を保存しました。もう一度評価すると変更できます。",
    );
  });

  test("an English person beside them reads English", async () => {
    expect(contentOf(await sade.slash(general, "help"))).toContain("**Talk with Zephyr**");
  });
});

test("a direct message is answered in the language that the person used last", async () => {
  const direct = aiko.directChannel();
  answers("まだ。");
  await aiko.slash(direct, "status");
  aiko.say(direct, "こんにちは");
  expect(labelsOf(await finished("まだ。"))).toEqual(["再生成", "続ける"]);
  expect(lounge.engine.asked.at(-1)?.metadata).toMatchObject({ locale: "ja" });
});

describe("what all in a server see is in the server's language", () => {
  test("its own in Discord: an English person's answer has German buttons in a German server", async () => {
    lounge.playground.moderators.setLocale(Locale.German);
    answers("Öffentlich.");
    await sade.slash(general, "chat", { text: "Hello?" });
    expect(labelsOf(await finished("Öffentlich."))).toEqual(["Neu erzeugen", "Fortsetzen"]);
    sade.say(general, BOT);
    await says("Hallo! Schreib deine Frage hinter die Erwähnung");
  });

  test("a German person's answer stays English in an English server; only they read the refusal in German", async () => {
    answers("Public.");
    await mira.slash(general, "chat", { text: "Hallo?" });
    const answer = await finished("Public.");
    expect(labelsOf(answer)).toEqual(["Regenerate", "Continue"]);
    expect(contentOf(await mira.messageCommand("Appeal this answer", answer.id))).toContain(
      "Was stimmt mit dieser Antwort nicht?",
    );
  });

  test("what its managers choose goes before its own, and a case is told in it", async () => {
    await choose("locale", "ja");
    await mira.slash(general, "moderation setup", { log });
    answers("皆さんへ。");
    sade.say(general, `${BOT} to all`);
    const answer = await finished("皆さんへ。");
    expect(answer.content).toContain("ベースの重み");
    expect(labelsOf(answer)).toEqual(["再生成", "続ける"]);
    await sade.messageCommand("Appeal this answer", answer.id);
    const question = await says("What is wrong with this answer?");
    await sade.press(question.id, buttonId(question, "appeal:should") ?? "");
    const posted = await lounge.playground.waitFor(
      ({ content }) => content.startsWith("**ケース 1** · 異議：拒否されるべきだった"),
      { channelId: log },
    );
    expect(posted.content).toContain(`対象：<@${sade.id}>`);
    expect(labelsOf(posted)).toEqual(["維持", "覆す", "メモ"]);
    const decided = await mira.press(posted.id, "case:uphold:1");
    expect(decided.kind).toBe("message");
    await says("Fall 1 ist bestätigt.");
    // Edited, it still names whom it is about.
    await lounge.playground.waitFor(
      ({ id, content }) =>
        id === posted.id && content.includes("✅ 維持") && content.includes(`<@${sade.id}>`),
    );
    await choose("locale", "auto");
  });

  test("why something was withheld is told in it, too", async () => {
    lounge.playground.moderators.setLocale(Locale.French);
    lounge.engine.script = () => [{ blocked: "The rest was withheld." }];
    await sade.slash(general, "chat", { text: "Pourquoi ?" });
    await says("La suite de cette réponse a été retenue : il y a là une menace de violence");
  });
});

async function choose(field: string, value: string): Promise<void> {
  const outcome = await mira.slash(general, "settings show");
  if (outcome.kind !== "message") throw new Error("no panel");
  const { id } = outcome.message;
  await lounge.playground.waitFor(
    (message) => message.id === id && message.content.includes("Einstellungen dieses Servers"),
  );
  await mira.press(id, "setb:page:how");
  await mira.select(id, `set:${field}`, [value]);
}

describe("the commands at Discord", () => {
  const registrations = () =>
    lounge.tap.sent.filter(({ method, path }) => method === "PUT" && path.endsWith("/commands"));

  test("are named in every language", () => {
    const [sent] = registrations();
    expect(sent?.body).toContainEqual(
      expect.objectContaining({
        name: "compare",
        name_localizations: expect.objectContaining({
          de: "vergleichen",
          "es-ES": "comparar",
          "es-419": "comparar",
          fr: "comparer",
          ja: "比較",
        }),
      }),
    );
  });

  test("are registered anew when a file changes a language, and not otherwise", async () => {
    const before = registrations().length;
    const folder = mkdtempSync(join(tmpdir(), "languages-"));
    writeFileSync(join(folder, "it.json"), JSON.stringify({ "command.help.name": "aiuto" }));
    const restart = async (config: typeof lounge.config) => {
      await lounge.bot.stop(0);
      Object.assign(lounge, { bot: await startBot(config, createLog("bot", "silent")) });
    };
    await restart(lounge.config);
    expect(registrations()).toHaveLength(before);
    await restart({ ...lounge.config, LANGUAGE_DIR: folder });
    expect(registrations()).toHaveLength(before + 1);
    expect(registrations().at(-1)?.body).toContainEqual(
      expect.objectContaining({
        name: "help",
        name_localizations: expect.objectContaining({ it: "aiuto", de: "hilfe" }),
      }),
    );
    rmSync(folder, { recursive: true });
  });
});

test("the privacy page is in the browser's language, or the one that was chosen", async () => {
  const url = lounge.bot.privacyUrl ?? "";
  const read = async (address: string, header: string) =>
    (await fetch(address, { headers: { "accept-language": header } })).text();
  expect(await read(url, "de-AT,de;q=0.9")).toContain('<html lang="de">');
  expect(await read(`${url}?lang=ja`, "de")).toContain("Zephyr があなたについて保存するもの");
  const spanish = await read(url, "es-MX");
  expect(spanish).toContain("<code>/misdatos olvidar</code>");
  expect(spanish).toContain('<a href="?lang=fr" hreflang="fr" lang="fr">français</a>');
  expect(await read(`${url}?lang="><script>`, "ko")).toContain('<html lang="en">');
});
