import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBot } from "#bot/discord/start-bot.ts";
import type { Person } from "#deploy/playground/people/person.ts";
import type { Playground } from "#deploy/playground/playground.ts";
import { startPlayground } from "#deploy/playground/start.ts";
import { systemClock } from "#engine/base/clock.ts";
import { parseConfig } from "#engine/base/config.ts";
import { createLog } from "#engine/base/log.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { buttonId, finishedAnswer } from "../../bot/support/lounge.ts";
import { ScriptedEngine } from "../../bot/support/scripted-engine.ts";
import { Wiretap } from "../../bot/support/wiretap.ts";
import { recording } from "../../conformance/recording.ts";
import { freePort } from "../../servers/program.ts";
import { isAlive, type ShardGroup, startShards } from "./running-shards.ts";

/** Starting two processes five seconds apart, on a busy machine. */
const START_MS = 60_000;
const TOKEN = "a-token-for-tests";
const dataDir = mkdtempSync(join(tmpdir(), "shards-"));
let playground: Playground;
let engine: ScriptedEngine;
let tap: Wiretap;
let feedback: FeedbackLog;
let settings: Record<string, string>;
let group: ShardGroup;
let mira: Person;
let general: string;
let metricsPort: number;
/** Shard 0 has direct messages; the local Discord's only server is on shard 1 of 2. */
let direct: string;

beforeAll(async () => {
  playground = await startPlayground({
    ...{ host: "127.0.0.1", port: 0, dataDir, botToken: TOKEN, clock: systemClock },
    // Enforced, so shards that identify too fast get an invalid session.
    ...{ shards: 2, maxConcurrency: 1 },
    ...recording(),
  });
  engine = await ScriptedEngine.start();
  tap = await Wiretap.start(playground.url);
  metricsPort = await freePort();
  settings = {
    DISCORD_TOKEN: TOKEN,
    DISCORD_API_URL: `${tap.url}/api`,
    ENGINE_URL: engine.url,
    DATA_DIR: dataDir,
    PERSON_REQUESTS_PER_MINUTE: "600",
    SHARDS: "auto",
    BOT_METRICS_PORT: String(metricsPort),
  };
  group = startShards(settings);
  await group.ready;
  feedback = FeedbackLog.open(feedbackPath(dataDir));
  mira = playground.person("mira");
  general = playground.channelId("general");
  direct = mira.directChannel();
}, START_MS);
afterAll(async () => {
  group.process.kill("SIGTERM");
  await group.exited;
  feedback.close();
  await Promise.all([tap.close(), engine.close(), playground.close()]);
  rmSync(dataDir, { recursive: true, force: true });
}, START_MS);

const shards = () => playground.connectedShards.map(String).toSorted();
const answerWith = (text: string) => {
  engine.script = () => [{ text }, { end: "stop" }];
};

describe("SHARDS=auto", () => {
  test("takes the number that Discord recommends, five seconds apart, and prints one ready line", async () => {
    expect(await group.ready).toMatchObject({ event: "ready", service: "bot", shards: 2 });
    expect(shards()).toEqual(["0,2", "1,2"]);
    expect(playground.identifyCount).toBe(2);
  });

  test("registers the commands once, whatever the number of shards", () => {
    const writes = tap.sent.filter(
      ({ method, path }) => method === "PUT" && path.endsWith("/commands"),
    );
    expect(writes).toHaveLength(1);
  });

  test("serves each shard's figures on a port of its own", async () => {
    const connected = async (index: number) => {
      const response = await fetch(`http://127.0.0.1:${metricsPort + index}/metrics`);
      return /zephyr_bot_(connected|guilds)\{[^}]*\} \d/g.exec(await response.text())?.[0];
    };
    expect([await connected(0), await connected(1)]).toEqual([
      'zephyr_bot_connected{shard="0"} 1',
      'zephyr_bot_connected{shard="1"} 1',
    ]);
  });

  test("without Redis says what counts for each shard apart", () => {
    expect(group.stderr()).toContain("Without REDIS_URL");
  });
});

describe("two shards", () => {
  test("answer in a server and in direct messages, each once, and share the feedback log", async () => {
    answerWith("From the server.");
    await mira.slash(general, "chat", { text: "who?" });
    const inServer = await finishedAnswer({ playground, feedback }, "From the server.");
    answerWith("From direct messages.");
    mira.say(direct, "and here?");
    const inDirect = await finishedAnswer({ playground, feedback }, "From direct messages.");
    expect(engine.asked).toHaveLength(2);
    await mira.press(inServer.id, buttonId(inServer, "vote:+:") ?? "");
    mira.react(inDirect.id, "👎");
    const votes = () => feedback.standing().map(({ kind, value }) => `${kind} ${value}`);
    await expect.poll(() => votes().toSorted()).toEqual(["reaction -1", "vote 1"]);
  });

  test("one that is killed comes back by itself, while the other goes on answering", async () => {
    const identifies = playground.identifyCount;
    const victims = group.children();
    expect(victims).toHaveLength(2);
    const [, second] = victims;
    process.kill(second ?? 0, "SIGKILL");
    await playground.waitUntil(() => shards().length === 1 || undefined);
    const [left] = shards();
    const [answering, waiting] = left === "0,2" ? [direct, general] : [general, direct];
    answerWith("The other one is still here.");
    if (answering === direct) mira.say(direct, "still there?");
    else await mira.slash(general, "chat", { text: "still there?" });
    await finishedAnswer({ playground }, "The other one is still here.");
    await playground.waitUntil(() => shards().length === 2 || undefined, { timeoutMs: START_MS });
    expect(playground.identifyCount).toBe(identifies + 1);
    answerWith("Both are back.");
    if (waiting === direct) mira.say(direct, "and now?");
    else await mira.slash(general, "chat", { text: "and now?" });
    await finishedAnswer({ playground }, "Both are back.");
  });

  test("asked to end finish what each of them is answering, and exit with 0", async () => {
    const rest = Promise.withResolvers<void>();
    engine.script = ({ messages }) => [
      { text: "Nearly" },
      { wait: rest.promise },
      { text: ` done: ${messages.at(-1)?.content}` },
      { end: "stop" },
    ];
    await mira.slash(general, "chat", { text: "the server" });
    mira.say(direct, "the direct message");
    for (const channelId of [general, direct]) {
      await playground.waitFor(({ content }) => content.endsWith("Nearly"), { channelId });
    }
    group.process.kill("SIGTERM");
    rest.resolve();
    await finishedAnswer({ playground }, "Nearly done: the server");
    await finishedAnswer({ playground }, "Nearly done: the direct message");
    expect(await group.exited).toBe(0);
    expect(playground.connectedShards).toEqual([]);
  });

  test("leave buttons and conversations that any other division of the servers takes up", async () => {
    const config = parseConfig({ ...settings, SHARDS: "1", PRIVACY_PORT: "0" });
    const bot = await startBot(config, createLog("bot", "silent"));
    const before = await finishedAnswer({ playground, feedback }, "Nearly done: the server");
    answerWith("Drawn again.");
    await mira.press(before.id, buttonId(before, "again:") ?? "");
    await finishedAnswer({ playground }, "Drawn again.");
    expect(engine.asked.at(-1)?.messages.at(-1)?.content).toBe("the server");
    answerWith("I remember.");
    mira.say(direct, "what was that?");
    await finishedAnswer({ playground }, "I remember.");
    expect(engine.lastConversation().join("\n")).toContain("the direct message");
    await bot.stop(0);
  });
});

describe("shards whose parent is killed", () => {
  test(
    "end, so that no second bot answers beside the next one",
    async () => {
      group = startShards(settings);
      await group.ready;
      const children = group.children();
      expect(children).toHaveLength(2);
      group.process.kill("SIGKILL");
      await group.exited;
      await expect.poll(() => children.filter(isAlive), { timeout: START_MS }).toEqual([]);
      expect(playground.connectedShards).toEqual([]);
    },
    START_MS,
  );

  test(
    "with a wrong token nothing is started, in one message",
    async () => {
      const wrong = startShards({ ...settings, DISCORD_TOKEN: "not-the-token" });
      expect(await wrong.exited).toBe(1);
      expect(wrong.stderr()).toMatch(
        /^Discord does not accept DISCORD_TOKEN.*discord_token_invalid/,
      );
    },
    START_MS,
  );
});
