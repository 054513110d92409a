/** Pictures that people attach, looked at where the engine says that its model sees. Where it does not: settings.test.ts. */
import type { APIMessage } from "discord-api-types/v10";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toImage } from "#bot/conversation/attached-image.ts";
import type { Person } from "#deploy/playground/people/person.ts";
import { finishedAnswer, type Lounge, openLounge } from "../support/lounge.ts";

const BOT = "<@1200000000000000002>";
const PNG = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(40)]);
const PNG_URL = `data:image/png;base64,${PNG.toString("base64")}`;
const MARKED = '<attached name="cat.png">\n(a picture)\n</attached>';

let lounge: Lounge;
let channel: string;
let aiko: Person;

beforeAll(async () => {
  lounge = await openLounge();
  lounge.engine.seesImages = true;
  channel = lounge.playground.channelId("general");
  aiko = lounge.playground.person("aiko");
});
afterAll(() => lounge.close());

const upload = (name: string, contentType: string, bytes: Buffer, index = "0") => ({
  index,
  name,
  contentType,
  bytes,
});
const cat = upload("cat.png", "image/png", PNG);

function answerWith(text: string): void {
  lounge.engine.script = () => [{ text }, { end: "stop" }];
}

/** Its footer stands; it has no buttons to wait for. */
const answered = (text: string): Promise<APIMessage> =>
  lounge.playground.waitFor(
    ({ content, author }) =>
      author.bot === true && content.startsWith(text) && content.includes("about a picture"),
  );
const lastAsked = () => lounge.engine.asked.at(-1)?.messages.at(-1);

describe("a picture", () => {
  test("of /chat stands before the question, and its name in the text", async () => {
    answerWith("A cat.");
    const attachment = {
      name: "cat.png",
      contentType: "image/png",
      base64: PNG.toString("base64"),
    };
    await aiko.slash(channel, "chat", { text: "What is this?", attachment });
    await lounge.playground.waitFor(({ content }) => content.includes("A cat."));
    expect(lastAsked()).toMatchObject({
      images: [PNG_URL],
      content: expect.stringContaining(`${MARKED}\nWhat is this?`),
    });
  });

  test("with a mention, together with text files, is as its bytes say and not as it is called", async () => {
    answerWith("A drawing.");
    const jpeg = Buffer.concat([Buffer.from("ffd8ffe0", "hex"), Buffer.alloc(20)]);
    aiko.say(channel, `${BOT} Do they fit?`, {
      uploads: [
        upload("really.png", "image/png", jpeg),
        upload("list.txt", "text/plain", Buffer.from("one cat"), "1"),
      ],
    });
    await answered("A drawing.");
    expect(lastAsked()?.images).toEqual([`data:image/jpeg;base64,${jpeg.toString("base64")}`]);
    expect(lastAsked()?.content).toMatch(
      /really\.png.*\(a picture\).*list\.txt.*one cat.*Do they/s,
    );
  });

  test("alone is a question, too", async () => {
    answerWith("Nice.");
    aiko.say(channel, BOT, { uploads: [cat] });
    await answered("Nice.");
    expect(lastAsked()).toMatchObject({ images: [PNG_URL] });
  });

  test("of a message that is replied to is what is asked about", async () => {
    const shown = lounge.playground.person("jonas").say(channel, "", { uploads: [cat] });
    answerWith("Jonas' cat.");
    aiko.say(channel, `${BOT} Whose is it?`, { replyTo: shown.id });
    await answered("Jonas' cat.");
    expect(lastAsked()).toMatchObject({
      images: [PNG_URL],
      content: expect.stringMatching(/<quoted by="Jonas[^"]*">\n\(a picture\)\n<\/quoted>/),
    });
  });

  test("is remembered by its name alone, and neither it nor the answer is learnt from", async () => {
    const questions = lounge.playground.channelId("questions");
    answerWith("Blue.");
    aiko.say(questions, `${BOT} Which colour?`, { uploads: [cat] });
    const answer = await answered("Blue.");
    expect(lounge.feedback.candidateOfMessage(answer.id)).toBeUndefined();
    expect(answer.components ?? []).toEqual([]);
    // What was shown is remembered a little later.
    answerWith("Meanwhile.");
    lounge.playground.person("mira").say(channel, `${BOT} And you?`);
    await finishedAnswer(lounge, "Meanwhile.");
    answerWith("Still blue.");
    aiko.say(questions, "Are you sure?", { replyTo: answer.id });
    await lounge.playground.waitFor(({ content }) => content.startsWith("Still blue."));
    const messages = lounge.engine.asked.at(-1)?.messages ?? [];
    expect(messages.flatMap(({ images }) => images)).toEqual([]);
    expect(messages.slice(1).map(({ content }) => content)).toEqual([
      `${MARKED}\nWhich colour?`,
      "Blue.",
      "Are you sure?",
    ]);
  });
});

describe("what is no picture for the model", () => {
  test.each([
    [
      "that is none",
      [upload("cat.png", "image/png", Buffer.from("<svg/>"))],
      "no picture that I can look at",
    ],
    [
      "of another kind",
      [upload("a.bmp", "image/bmp", Buffer.from("BM"))],
      "no picture that I can look at",
    ],
    [
      "too large with the others",
      [
        upload("a.png", "image/png", Buffer.concat([PNG, Buffer.alloc(3 << 20)])),
        upload("b.png", "image/png", Buffer.concat([PNG, Buffer.alloc(3 << 20)]), "1"),
      ],
      "5 MiB of pictures at once",
    ],
    [
      "one of five",
      Array.from({ length: 5 }, (_, i) => ({ ...cat, index: `${i}` })),
      "more than 4 files",
    ],
  ])("%s, is refused with its reason, and nothing is asked", async (_, uploads, reason) => {
    const before = lounge.engine.asked.length;
    aiko.say(channel, `${BOT} And this?`, { uploads });
    await lounge.playground.waitFor(({ content }) => content.includes(reason));
    expect(lounge.engine.asked.length).toBe(before);
  });
});

test("the bytes of a picture are known by their beginning", () => {
  const file = (hex: string) => Buffer.from(hex.padEnd(32, "0"), "hex");
  const typeOf = (hex: string) => /^data:([^;]+)/.exec(toImage("x", file(hex))?.url ?? "")?.[1];
  expect(["89504e470d0a1a0a", "ffd8ffdb", "474946383961"].map(typeOf)).toEqual([
    "image/png",
    "image/jpeg",
    "image/gif",
  ]);
  expect(typeOf("524946460000000057454250")).toBe("image/webp");
  expect(typeOf("52494646000000005741564520")).toBeUndefined();
});
