import { GatewayIntentBits } from "discord.js";
import { describe, expect, test } from "vitest";
import { BOT_TOKEN, HandClock, openPlayground, RawGateway } from "./arena.ts";

const GUILDS_AND_MESSAGES = GatewayIntentBits.Guilds | GatewayIntentBits.GuildMessages;
const identifyFrame = (change: object = {}) => ({
  op: 2,
  d: { token: BOT_TOKEN, intents: 0, properties: {}, ...change },
});

describe("close codes", () => {
  test.each([
    [4001, "an unknown opcode", [{ op: 99, d: null }]],
    [4002, "what is no JSON", ["{"]],
    [4003, "a request before identifying", [{ op: 8, d: {} }]],
    [4004, "a wrong token", [identifyFrame({ token: "wrong" })]],
    [4005, "identifying twice", [identifyFrame(), identifyFrame()]],
    [4010, "a shard that does not exist", [identifyFrame({ shard: [2, 2] })]],
    [4013, "intents that do not exist", [identifyFrame({ intents: 1 << 30 })]],
    [
      4014,
      "intents that are not allowed",
      [identifyFrame({ intents: GatewayIntentBits.MessageContent })],
    ],
  ])("%i for %s", async (code, _, frames) => {
    const playground = await openPlayground({
      disallowedIntents: GatewayIntentBits.MessageContent,
    });
    const gateway = new RawGateway(playground);
    await gateway.frame((frame) => frame.op === 10);
    for (const frame of frames) gateway.send(frame);
    expect((await gateway.closed()).code).toBe(code);
  });

  test("4008 for more than 120 sends in a minute", async () => {
    const playground = await openPlayground({ clock: new HandClock() });
    const gateway = new RawGateway(playground);
    await gateway.frame((frame) => frame.op === 10);
    for (let count = 0; count < 121; count += 1) gateway.send({ op: 1, d: null });
    expect((await gateway.closed()).code).toBe(4008);
  });

  test("4009 when heartbeats stop", async () => {
    const clock = new HandClock();
    const playground = await openPlayground({ clock });
    const gateway = new RawGateway(playground);
    await gateway.identify(GUILDS_AND_MESSAGES);
    clock.forward(41_250);
    gateway.send({ op: 1, d: 1 });
    await gateway.frame((frame) => frame.op === 11);
    clock.forward(60_000);
    playground.tick();
    expect(playground.isBotConnected).toBe(true);
    clock.forward(2_000);
    playground.tick();
    expect((await gateway.closed()).code).toBe(4009);
  });

  test("4012 for another version, and a page of another site gets no socket at all", async () => {
    const playground = await openPlayground();
    expect((await new RawGateway(playground, "v=3").closed()).code).toBe(4012);
    const foreign = new RawGateway(playground, "v=10", { origin: "http://evil.example" });
    expect(await foreign.closed()).toEqual({ code: 0, reason: "refused" });
  });
});

describe("sessions", () => {
  test("READY names the guild as unavailable, then GUILD_CREATE brings it", async () => {
    const playground = await openPlayground();
    const gateway = new RawGateway(playground);
    expect(await gateway.identify(GUILDS_AND_MESSAGES)).toMatchObject({
      v: 10,
      session_id: expect.any(String),
      resume_gateway_url: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+\/gateway$/),
      guilds: [{ unavailable: true }],
      application: { id: expect.any(String) },
    });
    const created = await gateway.frame((frame) => frame.t === "GUILD_CREATE");
    expect(created.s).toBe(2);
    expect(created.d).toMatchObject({
      name: "Lighthouse Commons",
      unavailable: false,
      threads: [],
    });
  });

  test("a resume replays exactly what was missed, in order", async () => {
    const playground = await openPlayground();
    const general = playground.channelId("general");
    const mira = playground.person("mira");
    const first = new RawGateway(playground);
    const ready = await first.identify(GUILDS_AND_MESSAGES);
    mira.say(general, "seen");
    const seen = await first.frame((frame) => frame.t === "MESSAGE_CREATE");
    first.terminate();
    await playground.waitUntil(() => !playground.isBotConnected || undefined);
    const missed = [mira.say(general, "one"), mira.say(general, "two")].map(
      (message) => message.id,
    );
    const second = new RawGateway(playground);
    await second.frame((frame) => frame.op === 10);
    second.send({ op: 6, d: { token: BOT_TOKEN, session_id: sessionOf(ready), seq: seen.s } });
    await second.frame((frame) => frame.t === "RESUMED");
    const replayed = second.frames.filter((frame) => frame.op === 0);
    expect(replayed.map((frame) => [frame.t, frame.s])).toEqual([
      ["MESSAGE_CREATE", 4],
      ["MESSAGE_CREATE", 5],
      ["RESUMED", 6],
    ]);
    expect(replayed.slice(0, 2).map((frame) => Object(frame.d).id)).toEqual(missed);
  });

  test("an unknown session is invalid, a number not reached yet closes with 4007", async () => {
    const playground = await openPlayground();
    const gateway = new RawGateway(playground);
    await gateway.frame((frame) => frame.op === 10);
    gateway.send({ op: 6, d: { token: BOT_TOKEN, session_id: "gone", seq: 1 } });
    expect((await gateway.frame((frame) => frame.op === 9)).d).toBe(false);
    const session = sessionOf(await gateway.identify(GUILDS_AND_MESSAGES));
    const ahead = new RawGateway(playground);
    await ahead.frame((frame) => frame.op === 10);
    ahead.send({ op: 6, d: { token: BOT_TOKEN, session_id: session, seq: 999 } });
    expect((await ahead.closed()).code).toBe(4007);
  });

  test("a session can be resumed for five minutes", async () => {
    const clock = new HandClock();
    const playground = await openPlayground({ clock });
    const first = new RawGateway(playground);
    const session = sessionOf(await first.identify(GUILDS_AND_MESSAGES));
    first.terminate();
    await playground.waitUntil(() => !playground.isBotConnected || undefined);
    clock.forward(5 * 60_000 + 1);
    playground.tick();
    const second = new RawGateway(playground);
    await second.frame((frame) => frame.op === 10);
    second.send({ op: 6, d: { token: BOT_TOKEN, session_id: session, seq: 1 } });
    expect((await second.frame((frame) => frame.op === 9)).d).toBe(false);
  });
});

describe("what is told to whom", () => {
  test("content is withheld without the intent, but not from those addressed", async () => {
    const playground = await openPlayground();
    const general = playground.channelId("general");
    const mira = playground.person("mira");
    const gateway = new RawGateway(playground);
    await gateway.identify(GUILDS_AND_MESSAGES | GatewayIntentBits.DirectMessages);
    mira.say(general, "between people");
    mira.say(general, "<@1200000000000000002> to the bot");
    mira.say(mira.directChannel(), "in private");
    const contents = await contentsOf(gateway, 3);
    expect(contents).toEqual(["", "<@1200000000000000002> to the bot", "in private"]);
  });

  test("with the intent content is there", async () => {
    const playground = await openPlayground();
    const gateway = new RawGateway(playground);
    await gateway.identify(GUILDS_AND_MESSAGES | GatewayIntentBits.MessageContent);
    playground.person("mira").say(playground.channelId("general"), "between people");
    expect(await contentsOf(gateway, 1)).toEqual(["between people"]);
  });

  test("events of groups that were not asked for do not come", async () => {
    const playground = await openPlayground();
    const gateway = new RawGateway(playground);
    await gateway.identify(GatewayIntentBits.Guilds | GatewayIntentBits.GuildMessageReactions);
    const mira = playground.person("mira");
    const message = mira.say(playground.channelId("general"), "hello");
    mira.type(playground.channelId("general"));
    mira.react(message.id, "👍");
    await gateway.frame((frame) => frame.t === "MESSAGE_REACTION_ADD");
    expect(gateway.frames.map((frame) => frame.t)).not.toContain("MESSAGE_CREATE");
    expect(gateway.frames.map((frame) => frame.t)).not.toContain("TYPING_START");
  });
});

function sessionOf(ready: unknown): string {
  return String(Object(ready).session_id);
}

async function contentsOf(gateway: RawGateway, count: number): Promise<string[]> {
  const messages = () => gateway.frames.filter((frame) => frame.t === "MESSAGE_CREATE");
  await gateway.frame(() => messages().length >= count);
  return messages().map((frame) => String(Object(frame.d).content));
}

describe("shards", () => {
  const GUILD = "1200000000000000001";
  const shardOfGuild = (count: number) => Number((BigInt(GUILD) >> 22n) % BigInt(count));

  test("GET /gateway/bot recommends a number and says how many may identify at once", async () => {
    const playground = await openPlayground({ shards: 3, maxConcurrency: 2 });
    const response = await fetch(`${playground.apiUrl}/v10/gateway/bot`, {
      headers: { authorization: `Bot ${BOT_TOKEN}` },
    });
    expect(await response.json()).toMatchObject({
      shards: 3,
      session_start_limit: { total: 1_000, remaining: 1_000, reset_after: 0, max_concurrency: 2 },
    });
  });

  test.each([2, 3, 5])(
    "of %d: a server's events reach its own alone, direct messages the first alone",
    async (count) => {
      const playground = await openPlayground();
      const gateways: RawGateway[] = [];
      for (let index = 0; index < count; index++) {
        const gateway = new RawGateway(playground);
        await gateway.frame((frame) => frame.op === 10);
        const properties = { os: "linux", browser: "test", device: "test" };
        const shard = [index, count];
        const intents = GUILDS_AND_MESSAGES | (1 << 12);
        gateway.send({ op: 2, d: { token: BOT_TOKEN, intents, properties, shard } });
        expect((await gateway.frame((frame) => frame.t === "READY")).d).toMatchObject({ shard });
        gateways.push(gateway);
      }
      const mira = playground.person("mira");
      mira.say(playground.channelId("general"), "to the server");
      mira.say(mira.directChannel(), "to the bot");
      const isMessage = (frame: { t?: unknown }) => frame.t === "MESSAGE_CREATE";
      await Promise.all([0, shardOfGuild(count)].map((index) => gateways[index]?.frame(isMessage)));
      const seen = gateways.map(({ frames }) =>
        frames.filter(isMessage).map(({ d }) => Object(d).guild_id ?? "direct"),
      );
      const expected = gateways.map((_, index) => [
        ...(index === shardOfGuild(count) ? [GUILD] : []),
        ...(index === 0 ? ["direct"] : []),
      ]);
      expect(seen).toEqual(expected);
      expect(gateways.map(({ frames }) => frames.some(({ t }) => t === "GUILD_CREATE"))).toEqual(
        gateways.map((_, index) => index === shardOfGuild(count)),
      );
    },
  );

  test("of one bucket that identify within five seconds get an invalid session, of another one they don't", async () => {
    const clock = new HandClock();
    const playground = await openPlayground({ clock, maxConcurrency: 2 });
    const join = async (index: number) => {
      const gateway = new RawGateway(playground);
      await gateway.frame((frame) => frame.op === 10);
      const properties = { os: "linux", browser: "test", device: "test" };
      const d = { token: BOT_TOKEN, intents: 1, properties, shard: [index, 4] };
      gateway.send({ op: 2, d });
      return (await gateway.frame((frame) => frame.t === "READY" || frame.op === 9)).op;
    };
    expect([await join(0), await join(1), await join(2)]).toEqual([0, 0, 9]);
    clock.forward(5_000);
    expect([await join(2), await join(3)]).toEqual([0, 0]);
    expect(playground.identifyCount).toBe(4);
  });

  test("whose number is not below their count are refused with 4010", async () => {
    const playground = await openPlayground();
    const gateway = new RawGateway(playground);
    await gateway.frame((frame) => frame.op === 10);
    const properties = { os: "linux", browser: "test", device: "test" };
    gateway.send({ op: 2, d: { token: BOT_TOKEN, intents: 1, properties, shard: [2, 2] } });
    expect((await gateway.closed()).code).toBe(4010);
  });
});
