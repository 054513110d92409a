/** What a server's roles decide: who may ask, and how often. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Person } from "#deploy/playground/people/person.ts";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const REGULARS = "1200000000000000004";
const KEEPERS = "1200000000000000005";
const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let mira: Person;
let sade: Person;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
  mira = lounge.playground.person("mira");
  sade = lounge.playground.person("sade");
});
afterAll(() => lounge.close());

/** The settings' panel, newly opened. */
async function openPanel() {
  const outcome = await mira.slash(general, "settings show");
  if (outcome.kind !== "message") throw new Error("no panel");
  return lounge.playground.waitFor(
    ({ id, content }) => id === outcome.message.id && content.includes("Settings of this server"),
  );
}

async function setLimit(role: string, count: string): Promise<void> {
  const { id } = await openPanel();
  await mira.press(id, "setb:page:how");
  await mira.press(id, "setb:limit");
  await mira.submitModal({ role: [role], count });
}

/** Asks by a message, and resolves with the finished answer. */
async function ask(who: Person, text: string) {
  lounge.engine.script = () => [{ text: `Re: ${text}.` }, { end: "stop" }];
  who.say(general, `${BOT} ${text}`);
  return finishedAnswer(lounge, `Re: ${text}.`);
}

const refusals = (who: Person) =>
  who.messages(general).filter(({ content }) => content.includes("more questions than I may take"))
    .length;

test("only those with a chosen role may ask, as their roles are when they ask", async () => {
  const noor = lounge.playground.person("noor");
  await mira.select((await openPanel()).id, "set:roleIds", [REGULARS]);
  await ask(sade, "I have the role");
  const refused = await noor.slash(general, "chat", { text: "may I?" });
  expect(refused).toMatchObject({
    message: { content: expect.stringContaining("only some roles") },
  });
  lounge.playground.moderators.setRoles(noor.id, [REGULARS]);
  await ask(noor, "may I now?");
  lounge.playground.moderators.setRoles(noor.id, []);
  await mira.select((await openPanel()).id, "set:roleIds", []);
  await ask(noor, "and as before?");
});

test("a role's limit holds for messages, commands and buttons of those who have it, and for nobody else", async () => {
  const jonas = lounge.playground.person("jonas");
  const aiko = lounge.playground.person("aiko");
  await setLimit(REGULARS, "2");
  const answer = await ask(aiko, "first");
  await ask(aiko, "second");
  const asked = lounge.engine.asked.length;
  aiko.say(general, `${BOT} third`);
  await expect.poll(() => refusals(aiko), { timeout: 10_000 }).toBe(1);
  await aiko.slash(general, "chat", { text: "fourth", ephemeral: true });
  await expect.poll(() => refusals(aiko), { timeout: 10_000 }).toBe(2);
  await aiko.press(answer.id, buttonId(answer, "again:") ?? "");
  await expect.poll(() => refusals(aiko), { timeout: 10_000 }).toBe(3);
  expect(lounge.engine.asked.length).toBe(asked);
  for (let n = 0; n < 4; n++) await ask(jonas, `without the role ${n}`);
});

test("the most generous of a person's roles counts", async () => {
  await setLimit(REGULARS, "1");
  await setLimit(KEEPERS, "100");
  lounge.playground.moderators.setRoles(sade.id, [REGULARS, KEEPERS]);
  const before = refusals(sade);
  for (let n = 0; n < 3; n++) await ask(sade, `with both roles ${n}`);
  expect(refusals(sade)).toBe(before);
});
