import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningBot, startBot } from "#bot/discord/start-bot.ts";
import { openPostgresStore } from "#bot/storage/postgres-store.ts";
import type { Person } from "#deploy/playground/people/person.ts";
import { createLog } from "#engine/base/log.ts";
import { buttonId, finishedAnswer, type Lounge, openLounge } from "../bot/support/lounge.ts";
import { POSTGRES, PostgresServer } from "../servers/postgres-server.ts";
import { freePort } from "../servers/program.ts";
import { REDIS, RedisServer } from "../servers/redis-server.ts";

const MENTION = "<@1200000000000000002>";
const missing = POSTGRES.missing ?? REDIS.missing;
const because = missing === undefined ? "" : ` (${missing})`;
/** The stores' own waits, several times over. */
const LIMIT_MS = 60_000;

let postgres: PostgresServer;
let redis: RedisServer;
let lounge: Lounge;
let bot: RunningBot;
let general: string;
let mira: Person;

test.skipIf(missing !== undefined)(
  `a Postgres that does not answer is named while the start waits for it, without the password${because}`,
  async () => {
    const port = await freePort();
    const said: string[] = [];
    const heard = pino({ level: "warn" }, { write: (line) => void said.push(line) });
    const url = `postgres://zephyr:hunter2@127.0.0.1:${port}/none`;
    await expect(openPostgresStore(url, heard, 600)).rejects.toMatchObject({
      code: "store_unreachable",
      message: expect.stringContaining(`DATABASE_URL (127.0.0.1:${port}/none)`),
    });
    expect(said).toEqual([
      expect.stringMatching(/ECONNREFUSED.*DATABASE_URL does not answer: waiting up to .*start it/),
    ]);
    expect(said.join("")).not.toContain("hunter2");
  },
);

const ask = async (text: string, answer: string) => {
  lounge.engine.script = () => [{ text: answer }, { end: "stop" }];
  const asked = mira.say(general, `${MENTION} ${text}`);
  const shown = await finishedAnswer(lounge, answer);
  return { asked, shown };
};
const restart = async () => {
  await bot.stop(0);
  bot = await startBot(lounge.config, createLog("bot", "silent"), { editIntervalMs: 100 });
};
const heard = () => lounge.engine.lastConversation().join("\n");
/** Everything that Postgres holds. */
const stored = async () => {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const tables = await client.query(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
  );
  const rows: string[] = [];
  for (const { table_name: name } of tables.rows) {
    rows.push(
      ...(await client.query(`SELECT * FROM "${name}"`)).rows.map((row) => JSON.stringify(row)),
    );
  }
  await client.end();
  return rows;
};

beforeAll(async () => {
  if (missing !== undefined) return;
  [postgres, redis] = await Promise.all([PostgresServer.open(), RedisServer.open()]);
  lounge = await openLounge({ DATABASE_URL: postgres.url, REDIS_URL: redis.url });
  bot = lounge.bot;
  general = lounge.playground.channelId("general");
  mira = lounge.playground.person("mira");
}, LIMIT_MS);
afterAll(async () => {
  await bot?.stop(0);
  await lounge?.close();
  await Promise.all([postgres?.[Symbol.asyncDispose](), redis?.[Symbol.asyncDispose]()]);
});

test.skipIf(missing !== undefined)(
  `a bot with Postgres, and Redis for its limits, remembers conversations, settings and open comparisons there over a restart, words sealed${because}`,
  async () => {
    await ask("my code word is otter", "Noted.");
    const saved = lounge.playground.waitFor(({ content }) => content.includes("Saved **Bard**"));
    await mira.slash(general, "persona write");
    await mira.submitModal({ name: "Bard", text: "You speak in verse." });
    await saved;
    await mira.slash(general, "persona use", { name: "Bard" });
    lounge.engine.script = ({ seed }) => [{ text: `Drawn ${seed}.` }, { end: "stop" }];
    await mira.slash(general, "compare", { text: "Which?", votes: 1 });
    const pair = await lounge.playground.waitFor(
      (message) => buttonId(message, "cmp:a:") !== undefined,
    );
    await restart();
    await ask("what is my code word?", "You told me.");
    expect(heard()).toContain("otter");
    expect(lounge.engine.asked.at(-1)?.messages[0]?.content).toContain("You speak in verse.");
    await mira.press(pair.id, buttonId(pair, "cmp:a:") ?? "");
    await expect
      .poll(() => lounge.playground.message(pair.id)?.content, { timeout: 10_000 })
      .toContain("A won");
    const rows = await stored();
    expect(rows.length).toBeGreaterThan(4);
    expect(rows.join("\n")).toContain("You speak in verse.");
    expect(rows.join("\n")).not.toMatch(/otter|You told me/);
  },
  LIMIT_MS,
);

test.skipIf(missing !== undefined)(
  `a bot whose Postgres is killed answers without earlier turns, keeps votes, refuses changes of settings in words, and makes deletions good when it is back${because}`,
  async () => {
    const secret = await ask("my other word is badger", "Badger, noted.");
    await ask("and I like tea", "Tea, good.");
    // An answer is remembered after it is shown.
    await ask("and coffee", "Coffee, too.");
    expect(heard()).toContain("badger");

    await postgres.kill();
    const alone = await ask("what do I like?", "I cannot recall.");
    expect(lounge.engine.lastConversation()).toHaveLength(1);
    // Settings are those that were seen last.
    expect(lounge.engine.asked.at(-1)?.messages[0]?.content).toContain("You speak in verse.");
    mira.react(alone.shown.id, "👎");
    await expect
      .poll(() => lounge.feedback.standing().some(({ kind }) => kind === "reaction"))
      .toBe(true);
    const refused = await mira.slash(general, "persona use");
    expect(JSON.stringify(refused)).toContain("settings is out of reach");
    mira.delete(secret.asked.id);
    const exchangeOf = () =>
      lounge.feedback.candidateOfMessage(secret.shown.id)?.candidate.exchangeId ?? "";
    await expect.poll(() => lounge.feedback.exchange(exchangeOf())?.deleted).toBe(true);

    await postgres.start();
    const since: string[] = [];
    await expect
      .poll(
        async () => {
          await ask("do you know my other word?", "Let me see.");
          since.push(heard());
          return since.at(-1);
        },
        { timeout: 30_000, interval: 500 },
      )
      .toContain("tea");
    // Not even in the moment before the deletion was made good.
    expect(since.join("\n")).not.toContain("badger");
    await expect
      .poll(async () => (await stored()).join("\n"), { timeout: 20_000, interval: 500 })
      .not.toContain(`holders:${secret.asked.id}`);
  },
  LIMIT_MS,
);
