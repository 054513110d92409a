/** Nobody who used a command is left without a word, or with a response that never comes. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

/** A response that is deferred and not given. */
const LOADING = 128;
let lounge: Lounge;
let general: string;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

const person = (name: string) => lounge.playground.person(name);
const thinking = () =>
  lounge.playground.messages(general).filter(({ flags = 0 }) => (flags & LOADING) !== 0);

/** An answer whose first word does not come before the engine is asked so often. */
async function stuck(times: number, ask: () => unknown): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  lounge.engine.script = () => [{ wait: promise }, { text: "Late." }, { end: "stop" }];
  const asked = lounge.engine.asked.length;
  await ask();
  await expect.poll(() => lounge.engine.asked.length).toBe(asked + times);
  return resolve;
}

test("whoever is banned while the bot thinks leaves no response that thinks on", async () => {
  const go = await stuck(1, () => person("p1").slash(general, "chat", { text: "hello?" }));
  expect(thinking()).toHaveLength(1);
  lounge.playground.moderators.ban(person("p1").id);
  await expect.poll(thinking).toEqual([]);
  go();
  lounge.engine.script = () => [{ text: "Again?" }, { end: "stop" }];
  await person("p2").slash(general, "chat", { text: "hi" });
  const answer = await finishedAnswer(lounge, "Again?");
  const goOn = await stuck(1, () =>
    person("p3").press(answer.id, buttonId(answer, "again:") ?? ""),
  );
  expect(thinking()).toHaveLength(1);
  lounge.playground.moderators.kick(person("p3").id);
  await expect.poll(thinking).toEqual([]);
  goOn();
});

test("what fails within is told to whoever asked for it", async () => {
  {
    using people = new DatabaseSync(join(lounge.config.DATA_DIR, "people.db"));
    people.exec("DROP TABLE changes");
  }
  const outcome = await person("p4").slash(general, "mydata consent", { learning: true });
  expect(JSON.stringify(outcome)).toContain("Something went wrong on my side");
});
