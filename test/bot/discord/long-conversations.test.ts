import { afterAll, beforeAll, expect, test } from "vitest";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

let lounge: Lounge;
let cooking: string;
const summaries: string[] = [];

beforeAll(async () => {
  lounge = await openLounge();
  cooking = lounge.playground.channelId("cooking");
  lounge.engine.contextTokens = 700;
  lounge.engine.script = ({ messages }) => {
    const asked = messages.at(-1)?.content ?? "";
    if (messages[0]?.content.startsWith("You shorten") === true) {
      summaries.push(asked);
      return [{ text: `Summed up ${summaries.length}.` }, { end: "stop" }];
    }
    return [{ text: `Reply to ${asked.split(" ")[0]}` }, { end: "stop" }];
  };
});
afterAll(() => lounge.close());

async function ask(name: string): Promise<string> {
  const aiko = lounge.playground.person("aiko");
  aiko.say(cooking, `<@1200000000000000002> ${name} ${"word ".repeat(60)}`);
  return (await finishedAnswer(lounge, `Reply to ${name}`)).id;
}

test("what no longer fits by the model's own count is summed up, not dropped", async () => {
  for (let n = 0; n < 8; n++) await ask(`q${n}.`);
  expect(summaries[0]).toContain("Person: q0.");
  expect(summaries[0]).toContain("You: Reply to q0.");
  const conversation = lounge.engine.lastConversation();
  expect(conversation[0]).toMatch(/^user: <summary>\nSummed up \d\.\n<\/summary>$/);
  expect(conversation.length).toBeGreaterThan(3);
  const asked = lounge.engine.asked.findLast(({ messages }) =>
    messages[0]?.content.startsWith("You shorten"),
  );
  // By the rules of the place, as the conversation itself.
  expect(asked?.metadata).toMatchObject({ channel: cooking, age_restricted: false });
  // A later summary takes the earlier one in.
  expect(summaries.length).toBeGreaterThan(1);
  expect(summaries.at(-1)).toContain("<conversation>\nPerson: <summary>");
});

test("deleting a message that was summed up takes the summary away", async () => {
  const first = lounge.playground
    .messages(cooking)
    .find(({ content }) => content.includes("q0. word"));
  lounge.playground.person("aiko").delete(first?.id ?? "");
  const [before] = lounge.engine.lastConversation();
  const text = /Summed up \d/.exec(before ?? "")?.[0];
  expect(text).toBeDefined();
  await ask("after.");
  expect(lounge.engine.lastConversation().join("\n")).not.toContain(text);
  expect(summaries.at(-1)).not.toContain("q0.");
});
