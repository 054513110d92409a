import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "#engine/base/clock.ts";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../bot/support/lounge.ts";

/** Discord's is 41 s; the bot notices a dead connection at the second heartbeat. */
const HEARTBEAT_INTERVAL_MS = 500;

let lounge: Lounge;
let general: string;
beforeAll(async () => {
  lounge = await openLounge({}, systemClock, undefined, {
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
  });
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

const says = (text: string) => () => [{ text }, { end: "stop" as const }];

test("a connection that dies without a word is noticed by its heartbeats and resumed: nothing said or voted meanwhile is lost or counted twice, and no IDENTIFY is spent", async () => {
  const { playground, engine, feedback } = lounge;
  const mira = playground.person("mira");
  engine.script = says("Before it died.");
  mira.say(general, "<@1200000000000000002> hello");
  const before = await finishedAnswer(lounge, "Before it died.");
  const identifies = playground.identifyCount;
  const asked = engine.asked.length;

  playground.silenceSockets();
  engine.script = says("After it came back.");
  playground.person("aiko").react(before.id, "👍");
  playground.person("noor").react(before.id, "👎");
  playground.person("noor").unreact(before.id, "👎");
  mira.say(general, "<@1200000000000000002> are you there?");
  const pressed = mira.press(before.id, buttonId(before, "vote:+:") ?? "");
  expect(engine.asked.length).toBe(asked);

  await finishedAnswer(lounge, "After it came back.");
  await pressed;
  const candidateId = feedback.candidateOfMessage(before.id)?.candidate.id;
  const votes = () =>
    feedback
      .standing()
      .filter((vote) => vote.candidateId === candidateId)
      .map(({ kind, value }) => `${kind} ${value}`)
      .toSorted();
  await expect.poll(votes).toEqual(["reaction 1", "vote 1"]);
  expect(engine.asked.length).toBe(asked + 1);
  expect(playground.identifyCount).toBe(identifies);
});

test("an answer in the making when the connection dies is finished, and the next death is survived, too", async () => {
  const { playground, engine } = lounge;
  const identifies = playground.identifyCount;
  for (const round of [1, 2]) {
    const rest = Promise.withResolvers<void>();
    engine.script = () => [
      { text: `Half ${round}` },
      { wait: rest.promise },
      { text: ` and whole ${round}.` },
      { end: "stop" },
    ];
    playground.person("mira").say(general, "<@1200000000000000002> slowly, please");
    await playground.waitFor(({ content }) => content.includes(`Half ${round}`));
    playground.silenceSockets();
    rest.resolve();
    await finishedAnswer(lounge, `Half ${round} and whole ${round}.`);
    // Resumed, or this would go unanswered.
    engine.script = says(`Heard ${round}.`);
    playground.person("aiko").say(general, "<@1200000000000000002> and now?");
    await finishedAnswer(lounge, `Heard ${round}.`);
  }
  expect(playground.identifyCount).toBe(identifies);
});
