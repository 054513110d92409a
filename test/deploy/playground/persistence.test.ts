import { expect, test } from "vitest";
import { startPlayground } from "#deploy/playground/start.ts";
import { systemClock } from "#engine/base/clock.ts";
import { BOT_TOKEN, call, freshFolder, openPlayground } from "./arena.ts";

test("a restart keeps the chat: messages, reactions, threads, people and commands", async () => {
  const dataDir = freshFolder();
  const options = { host: "127.0.0.1", port: 0, dataDir, botToken: BOT_TOKEN, clock: systemClock };
  const first = await startPlayground(options);
  const general = first.channelId("general");
  const newcomer = first.person("newcomer");
  const message = newcomer.say(general, "remember me");
  newcomer.react(message.id, "🎉");
  newcomer.startThread(general, "Kept", message.id);
  const help = [{ name: "help", description: "Help" }];
  await call(first, "PUT", "/applications/1200000000000000002/commands", help);
  await first.close();
  const second = await openPlayground({ dataDir });
  expect(second.message(message.id)).toMatchObject({
    content: "remember me",
    author: { id: newcomer.id, global_name: "Newcomer" },
    reactions: [{ emoji: { name: "🎉" }, count: 1 }],
    thread: { name: "Kept" },
  });
  expect(second.person("newcomer").id).toBe(newcomer.id);
  expect(second.person("newcomer").commandNames(general)).toEqual(["help"]);
  const next = second.person("mira").say(general, "after");
  expect(BigInt(next.id)).toBeGreaterThan(BigInt(message.id));
});

test("a taken port is told by address and setting", async () => {
  const playground = await openPlayground();
  const port = Number(new URL(playground.url).port);
  await expect(openPlayground({ port })).rejects.toMatchObject({
    code: "address_in_use",
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
});
