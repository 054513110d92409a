import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Locale } from "discord-api-types/v10";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { startPlayground } from "#deploy/playground/start.ts";
import { BOT_ID } from "#deploy/playground/world/seed.ts";
import { systemClock } from "#engine/base/clock.ts";
import { BOT_TOKEN } from "./arena.ts";

const dataDir = mkdtempSync(join(tmpdir(), "playground-"));
let playground: Playground;
let base: string;

beforeAll(async () => {
  playground = await startPlayground({
    ...{ host: "127.0.0.1", port: 0, dataDir, botToken: BOT_TOKEN },
    ...{ clock: systemClock, logLevel: "silent" },
  });
  base = `${playground.apiUrl}/v10/applications/${BOT_ID}/commands`;
});
afterAll(async () => {
  await playground.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const headers = { authorization: `Bot ${BOT_TOKEN}`, "content-type": "application/json" };
const put = (...commands: readonly object[]) =>
  fetch(base, { method: "PUT", headers, body: JSON.stringify(commands) });

const greet = {
  name: "greet",
  description: "Say hello",
  name_localizations: { de: "grüßen", ja: "挨拶" },
  description_localizations: { de: "Sag hallo" },
  options: [
    {
      type: 3,
      name: "tone",
      description: "How",
      name_localizations: { de: "ton" },
      description_localizations: { de: "Wie" },
      choices: [{ name: "warm", value: "warm", name_localizations: { de: "herzlich" } }],
    },
  ],
};
const entry = { type: 3, name: "Greet back", name_localizations: { de: "Zurück grüßen" } };

describe("localised commands", () => {
  test("are kept, and listed with all their languages only where that is asked for", async () => {
    expect((await put(greet, entry)).status).toBe(200);
    const whole = await (await fetch(`${base}?with_localizations=true`, { headers })).json();
    expect(whole[0]).toMatchObject({ ...greet, options: [greet.options[0]] });
    const [plain] = await (await fetch(base, { headers })).json();
    expect(plain).not.toHaveProperty("name_localizations");
    expect(plain.options[0]).not.toHaveProperty("description_localizations");
  });

  test("are listed in the language of the request's header", async () => {
    const answer = await fetch(base, { headers: { ...headers, "x-discord-locale": "de" } });
    const [command, menu] = await answer.json();
    expect(command).toMatchObject({
      name: "greet",
      name_localized: "grüßen",
      description_localized: "Sag hallo",
      options: [{ name_localized: "ton", choices: [{ name: "warm", name_localized: "herzlich" }] }],
    });
    expect(menu).toMatchObject({ name: "Greet back", name_localized: "Zurück grüßen" });
  });

  test.each([
    ["a locale that Discord has not", { name_localizations: { "de-DE": "grüßen" } }],
    ["a capital", { name_localizations: { de: "Grüßen" } }],
    ["a space in a slash command's name", { name_localizations: { de: "guten tag" } }],
    ["a name of 33 characters", { name_localizations: { de: "a".repeat(33) } }],
    ["a description of 101 characters", { description_localizations: { de: "a".repeat(101) } }],
    ["an empty description", { description_localizations: { de: "" } }],
  ])("%s is refused as Discord does", async (_, wrong) => {
    const answer = await put({ ...greet, ...wrong });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 50035 });
  });

  test("a menu's entry may have spaces and capitals, and no description", async () => {
    expect((await put({ ...entry, description_localizations: { de: "Grüßt" } })).status).toBe(400);
    expect((await put(entry)).status).toBe(200);
  });
});

describe("a person's language", () => {
  test("is chosen at the page's API, kept, and shown to the page", async () => {
    const noor = playground.person("noor");
    const choose = (locale: string) =>
      fetch(`${playground.url}/local/${noor.id}/locale`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ locale }),
      });
    expect((await choose("de")).status).toBe(204);
    expect((await choose("tlh")).status).toBe(400);
    const { people, locales } = await (await fetch(`${playground.url}/local/people`)).json();
    const mine = people.find(({ id }: { id: string }) => id === noor.id);
    expect(mine.locale).toBe("de");
    expect(locales).toEqual(Object.values(Locale));
  });

  test("decides in which language commands are listed", async () => {
    await put(greet);
    const noor = playground.person("noor");
    noor.setLocale(Locale.German);
    const path = `${playground.url}/local/${noor.id}/channels/${playground.channelId("general")}/commands`;
    expect(await (await fetch(path)).json()).toMatchObject([{ name_localized: "grüßen" }]);
    noor.setLocale(Locale.EnglishGB);
    const [command] = await (await fetch(path)).json();
    expect(command).not.toHaveProperty("name_localized");
  });
});
