/** Other people's words in a question stay theirs: to be learnt from, deleted and forgotten as theirs. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPseudonyms } from "#trainer/feedback/pseudonym.ts";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const BOT = "<@1200000000000000002>";
let lounge: Lounge;
let general: string;
let count = 0;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

const person = (name: string) => lounge.playground.person(name);
const keyOf = (name: string) => openPseudonyms(lounge.config.DATA_DIR)(person(name).id);

/** Makes something be answered. @returns the answer and the exchange that it is recorded in */
async function answered(ask: () => unknown) {
  const text = `Answer ${++count}.`;
  lounge.engine.script = () => [{ text }, { end: "stop" }];
  await ask();
  const shown = await finishedAnswer(lounge, text);
  const found = lounge.feedback.candidateOfMessage(shown.id);
  if (found === undefined) throw new Error("not recorded");
  const { exchange } = found;
  const people = [exchange.authorKey, ...(exchange.participantKeys ?? [])];
  return { shown, id: exchange.id, people, messages: JSON.stringify(exchange.messages) };
}
const isErased = (id: string) => lounge.feedback.exchange(id)?.deleted === true;

test("of a message that a bare mention asks about", async () => {
  const remark = person("aiko").say(general, "the kettle of aiko is blue");
  const first = await answered(() => person("mira").say(general, BOT, { replyTo: remark.id }));
  expect(first.messages).toContain("kettle of aiko");
  expect(first.people).toContain(keyOf("aiko"));
  const next = await answered(() => person("mira").say(general, `${BOT} and then?`));
  expect(next.messages).toContain("kettle of aiko");
  expect(next.people).toContain(keyOf("aiko"));
  person("aiko").delete(remark.id);
  await expect.poll(() => [isErased(first.id), isErased(next.id)]).toEqual([true, true]);
  await answered(() => person("mira").say(general, `${BOT} go on`));
  expect(lounge.engine.lastConversation().join()).not.toContain("kettle");
});

test("of a quoted message, for as long as the conversation holds it", async () => {
  const remark = person("noor").say(general, "noor lost a red umbrella");
  await answered(() =>
    person("jonas").say(general, `${BOT} what of this?`, { replyTo: remark.id }),
  );
  const later = await answered(() => person("jonas").say(general, `${BOT} say more`));
  expect(later.messages).toContain("red umbrella");
  expect(later.people).toContain(keyOf("noor"));
});

test("of a question whose answer somebody else continues, where nothing is remembered", async () => {
  const base64 = Buffer.from(JSON.stringify({ memory: "off" })).toString("base64");
  const file = { name: "settings.json", contentType: "application/json", base64 };
  await person("mira").slash(general, "settings import", { file });
  await lounge.playground.waitFor(({ content }) => content.includes("Settings of this server"));
  const questions: { readonly id: string }[] = [];
  const first = await answered(() => {
    questions.push(person("sade").say(general, `${BOT} sade wonders about herons`));
  });
  expect(first.people).toEqual([keyOf("sade")]);
  const button = buttonId(first.shown, "more:") ?? "";
  const more = await answered(() => person("p9").press(first.shown.id, button));
  expect(more.messages).toContain("herons");
  expect([...new Set(more.people)].toSorted()).toEqual([keyOf("sade"), keyOf("p9")].toSorted());
  person("sade").delete(questions[0]?.id ?? "");
  await expect.poll(() => [isErased(first.id), isErased(more.id)]).toEqual([true, true]);
});
