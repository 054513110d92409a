import { afterAll, beforeAll, expect, test } from "vitest";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let general: string;

beforeAll(async () => {
  lounge = await openLounge();
  general = lounge.playground.channelId("general");
});
afterAll(() => lounge.close());

async function report(words: string) {
  lounge.engine.script = () => [{ text: "A bad answer." }, { end: "stop" }];
  const aiko = lounge.playground.person("aiko");
  await aiko.slash(general, "chat", { text: "hm" });
  const answer = await finishedAnswer(lounge, "A bad answer.");
  const opened = await aiko.messageCommand("Report this answer", answer.id);
  expect(opened.kind).toBe("modal");
  await aiko.submitModal({ category: ["false"], reason: words });
  return answer;
}

test("a report is in the feedback log with its reason, and is no vote", async () => {
  const answer = await report("The moon is not cheese.");
  await lounge.playground.waitFor(({ content }) => content.includes("the report is saved"));
  const id = lounge.feedback.candidateOfMessage(answer.id)?.candidate.id ?? "";
  expect(lounge.feedback.eventsOf(id)).toMatchObject([
    { kind: "report", value: -1, comment: "false: The moon is not cheese." },
  ]);
});

test("a message that is no answer cannot be reported", async () => {
  const aiko = lounge.playground.person("aiko");
  const note = aiko.say(general, "lunch?");
  const refused = await aiko.messageCommand("Report this answer", note.id);
  expect(refused).toMatchObject({
    message: { content: expect.stringContaining("found no answer") },
  });
});
