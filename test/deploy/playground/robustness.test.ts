import fc from "fast-check";
import { expect, test } from "vitest";
import { answerError } from "#deploy/playground/rest/api.ts";
import { createLog } from "#engine/base/log.ts";
import { BOT_ID, call, HandClock, openPlayground } from "./arena.ts";

const PATHS = [
  ["GET", "/channels/CHANNEL/messages?limit=X"],
  ["GET", "/channels/CHANNEL/messages?before=X"],
  ["GET", "/channels/CHANNEL/messages/X"],
  ["POST", "/channels/CHANNEL/messages"],
  ["POST", "/channels/X/messages"],
  ["PATCH", "/channels/CHANNEL/messages/X"],
  ["PUT", "/channels/CHANNEL/messages/X/reactions/X/@me"],
  ["POST", "/channels/CHANNEL/threads"],
  ["PATCH", "/channels/CHANNEL"],
  ["GET", "/guilds/1200000000000000001/members?after=X"],
  ["POST", "/users/@me/channels"],
  ["PUT", `/applications/${BOT_ID}/commands`],
  ["POST", `/applications/${BOT_ID}/commands`],
  ["POST", "/interactions/X/X/callback"],
  ["PATCH", `/webhooks/${BOT_ID}/X/messages/@original`],
] as const;

test("whatever is sent, the answer is Discord's, and never a failure of the server", async () => {
  const clock = new HandClock();
  const playground = await openPlayground({ clock });
  const general = playground.channelId("general");
  const field = fc.constantFrom(
    "content",
    "embeds",
    "components",
    "flags",
    "name",
    "options",
    "type",
    "data",
    "allowed_mentions",
    "message_reference",
    "nonce",
  );
  const body = fc.oneof(
    fc.dictionary(field, fc.jsonValue({ maxDepth: 3 })),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const word = fc.oneof(
    fc.constantFrom("0", "-1", "%25", "99999999999999999999", "@original"),
    fc.string({ minLength: 1, maxLength: 12 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...PATHS),
      word,
      body,
      async ([method, template], given, sent) => {
        clock.forward(60_000);
        const path = template
          .replaceAll("CHANNEL", general)
          .replaceAll("X", encodeURIComponent(given));
        const response = await call(playground, method, path, method === "GET" ? undefined : sent);
        const text = await response.text();
        expect(response.status, `${method} ${path} ${JSON.stringify(sent)} ${text}`).toBeLessThan(
          500,
        );
        if (response.status >= 400)
          expect(JSON.parse(text)).toMatchObject({
            message: expect.any(String),
            code: expect.any(Number),
          });
      },
    ),
    { numRuns: 150 },
  );
});

test("a full disk is told in words that help", async () => {
  const full = Object.assign(new Error("database or disk is full"), { errcode: 13 });
  const response = answerError(full, createLog("test", "silent"));
  expect(response.status).toBe(507);
  expect((await response.json()).message).toContain("Free some space");
});

test("a thread in which nobody speaks is archived after a day, and woken by a message", async () => {
  const clock = new HandClock();
  const playground = await openPlayground({ clock });
  const mira = playground.person("mira");
  const general = playground.channelId("general");
  const thread = mira.startThread(general, "Quiet", mira.say(general, "psst").id);
  const isArchived = async () => {
    const response = await call(playground, "GET", `/channels/${thread}`);
    return (await response.json()).thread_metadata.archived;
  };
  clock.forward(24 * 3_600_000 - 1);
  playground.tick();
  expect(await isArchived()).toBe(false);
  clock.forward(60_000);
  playground.tick();
  expect(await isArchived()).toBe(true);
  expect(() => mira.react(playground.messages(thread)[0]?.id ?? "", "👍")).toThrow(
    "Thread is archived",
  );
  mira.say(thread, "still here");
  expect(await isArchived()).toBe(false);
});
