/** What moderators did while the bot was away, read from the audit log by the real discord.js. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SnowflakeUtil } from "discord.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { type RunningBot, startBot } from "#bot/discord/start-bot.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog, type Logger } from "#engine/base/log.ts";
import { untilCaughtUp } from "#trainer/nightly/catch-up.ts";
import { finishedAnswer, type Lounge, openLounge } from "../../support/lounge.ts";

const BOT = "<@1200000000000000002>";
const GUILD = "1200000000000000001";
/** The chat's invitation without View Audit Log. */
const BLIND = 309_237_763_136n;
const DAY_MS = 24 * 60 * 60_000;
const PATIENCE = { timeout: 15_000 };

/** A lounge, with a mod-log unless it is told otherwise; the bot in it can go away and come back. */
async function openWatched(botPermissions?: bigint, hasModLog = true) {
  const lounge = await openLounge({}, systemClock, botPermissions);
  const { playground, engine, feedback, config, tap } = lounge;
  const general = playground.channelId("general");
  const log = playground.channelId("workshop");
  const person = (name: string) => playground.person(name);
  if (hasModLog) await person("mira").slash(general, "moderation setup", { log });
  let [bot, count]: [RunningBot, number] = [lounge.bot, 0];
  onTestFinished(async () => {
    await bot.stop(0);
    feedback.close();
    await Promise.all([tap.close(), engine.close(), playground.close()]);
  });
  /** An answer, and who likes it. */
  const liked = async (...names: readonly string[]) => {
    count += 1;
    const text = `Answer ${count}.`;
    engine.script = () => [{ text }, { end: "stop" }];
    const question = person("noor").say(general, `${BOT} question ${count}`);
    const answer = await finishedAnswer(lounge, text);
    for (const name of names) person(name).react(answer.id, "👍");
    const { candidate } = feedback.candidateOfMessage(answer.id) ?? {};
    if (candidate === undefined) throw new Error("not recorded");
    const votes = () =>
      feedback.standing().filter(({ candidateId }) => candidateId === candidate.id).length;
    await expect.poll(votes).toBe(names.length);
    return { question, answer, votes, exchangeId: candidate.exchangeId };
  };
  return {
    ...{ ...lounge, general, person, liked, moderators: playground.moderators },
    cases: () =>
      playground
        .messages(log)
        .filter(({ content }) => content.startsWith("**Case"))
        .map(({ content }) => content),
    askedLogs: () => tap.asked.filter((path) => path.includes("/audit-logs")),
    unsure: () => feedback.hearing.unsure(Date.now()).size,
    /** What is done while the bot does not run. */
    away: async (meanwhile: () => void, logger: Logger = createLog("bot", "silent")) => {
      await bot.stop(0);
      meanwhile();
      bot = await startBot(config, logger);
    },
    gap: (meanwhile: () => void) => newSession(lounge, meanwhile),
    /** As a training that begins now does. */
    caughtUp: () =>
      untilCaughtUp({
        ...{ config, clock: systemClock, signal: new AbortController().signal },
        say: () => undefined,
      }),
  };
}

/** A log that keeps its warnings' words. */
function listeningLog() {
  const warnings: string[] = [];
  const log = createLog("bot", "silent");
  log.warn = (...said: readonly unknown[]) => void warnings.push(String(said.at(-1)));
  return { log, warnings };
}

/** What happens between these sessions is told to nobody. Resolves when the new one has begun for the bot. */
async function newSession({ playground, config }: Lounge, meanwhile: () => void): Promise<void> {
  const before = playground.identifyCount;
  playground.invalidateSessions(false);
  meanwhile();
  await playground.waitUntil(() => (playground.identifyCount > before ? true : undefined), {
    timeoutMs: 20_000,
  });
  const identifiedAtMs = Date.now();
  using feedback = new DatabaseSync(join(config.DATA_DIR, "feedback.db"));
  const heardAt = feedback.prepare("SELECT max(heard_at_ms) AS at_ms FROM hearing");
  await expect
    .poll(() => Number(heardAt.get()?.["at_ms"]), PATIENCE)
    .toBeGreaterThanOrEqual(identifiedAtMs);
}

describe("while the bot was not running", () => {
  test("whoever was banned or removed has no vote that counts before anything is learnt, and one case", async () => {
    const { liked, moderators, person, away, gap, ...at } = await openWatched();
    const { answer, votes } = await liked("p1", "p2", "p3", "sade");
    await away(() => {
      person("p4").react(answer.id, "👍");
      moderators.ban(person("p1").id, "spam");
      moderators.kick(person("p2").id);
      moderators.timeOut(person("p3").id);
      moderators.ban(person("p4").id);
      moderators.endTimeOut(person("sade").id);
    });
    await at.caughtUp();
    // Of p3, who was timed out, the vote stands; p4's was found on the message, and is void all the same.
    expect([votes(), at.unsure()]).toEqual([2, 0]);
    await expect.poll(() => at.cases().length, PATIENCE).toBe(4);
    for (const [name, kind] of [
      ["p1", "ban"],
      ["p2", "left"],
      ["p3", "time"],
      ["p4", "ban"],
    ]) {
      const found = at.cases().filter((text) => text.includes(`<@${person(name ?? "").id}>`));
      expect(found).toEqual([expect.stringMatching(new RegExp(`^\\*\\*Case.*${kind}`, "i"))]);
    }
    await gap(() => undefined);
    await at.caughtUp();
    expect([votes(), at.cases().length]).toEqual([2, 4]);
  });

  test("a ban that was lifted again counts as if it had been heard: earlier votes are void, later ones stand", async () => {
    const { liked, moderators, person, away, ...at } = await openWatched();
    const { answer, votes } = await liked("p1");
    await away(() => {
      moderators.ban(person("p1").id);
      moderators.unban(person("p1").id);
    });
    await at.caughtUp();
    expect(votes()).toBe(0);
    person("p1").react(answer.id, "👎");
    await expect.poll(votes).toBe(1);
    expect(at.cases()).toHaveLength(1);
  });
});

describe("what is long ago or much", () => {
  test("an absence longer than Discord keeps the log is said, and what it still has is honoured", async () => {
    const { liked, moderators, person, away, ...at } = await openWatched(undefined, false);
    const { votes } = await liked("p1");
    const { log, warnings } = listeningLog();
    await away(() => {
      moderators.ban(person("p1").id);
      using feedback = new DatabaseSync(join(at.config.DATA_DIR, "feedback.db"));
      feedback.exec(`UPDATE hearing SET heard_at_ms = ${Date.now() - 60 * DAY_MS}`);
    }, log);
    await at.caughtUp();
    expect(votes()).toBe(0);
    expect(warnings.filter((text) => text.includes("longer than the 45 days"))).toHaveLength(1);
    const [after] = at
      .askedLogs()
      .map((path) => new URLSearchParams(path.split("?")[1]).get("after"));
    const ageDays = (Date.now() - SnowflakeUtil.timestampFrom(after ?? "0")) / DAY_MS;
    expect(ageDays).toBeCloseTo(45, 0);
  });

  test("more than a page of acts is read to its end, oldest first", async () => {
    const { liked, moderators, person, away, ...at } = await openWatched(undefined, false);
    const { votes } = await liked("first", "last", "sade");
    const cases = new DatabaseSync(join(at.config.DATA_DIR, "cases.db"));
    onTestFinished(() => cases.close());
    await away(() => {
      moderators.kick(person("first").id);
      for (let i = 0; i < 230; i++) moderators.kick(person(`crowd${i}`).id);
      moderators.kick(person("last").id);
    });
    await expect.poll(votes, { timeout: 60_000 }).toBe(1);
    await at.caughtUp();
    const kicks = at.askedLogs().filter((path) => path.includes("action_type=20&"));
    expect(kicks).toHaveLength(3);
    const after = kicks.map((path) =>
      BigInt(new URLSearchParams(path.split("?")[1]).get("after") ?? 0),
    );
    expect(after).toEqual(after.toSorted((a, b) => (a < b ? -1 : 1)));
    const [row] = cases.prepare("SELECT count(*) AS n FROM cases WHERE kind = 'left'").all();
    expect(row?.["n"]).toBe(232);
  });
});

describe("a new session of a running bot", () => {
  test("reads on from the last entry that was heard, and opens no second case for it", async () => {
    const { liked, moderators, person, gap, ...at } = await openWatched();
    const { votes } = await liked("p1", "p2");
    moderators.ban(person("p1").id);
    await expect.poll(votes).toBe(1);
    await expect.poll(() => at.cases().length).toBe(1);
    await gap(() => moderators.ban(person("p2").id));
    await expect.poll(votes, PATIENCE).toBe(0);
    await at.caughtUp();
    expect(at.cases()).toHaveLength(2);
    // Without that entry, as after an update, an hour is read again: the same acts, and no other outcome.
    {
      using feedback = new DatabaseSync(join(at.config.DATA_DIR, "feedback.db"));
      feedback.exec("DELETE FROM heard_acts");
    }
    const asked = at.askedLogs().length;
    await gap(() => undefined);
    await expect.poll(() => at.askedLogs().length, PATIENCE).toBe(asked + 3);
    await at.caughtUp();
    expect([votes(), at.cases().length]).toEqual([0, 2]);
  });

  test("asks nothing where the session was resumed: all that was missed is told again", async () => {
    const { liked, moderators, person, playground, ...at } = await openWatched();
    const { votes } = await liked("p1");
    const [asked, identified] = [at.askedLogs().length, playground.identifyCount];
    playground.dropSockets();
    moderators.ban(person("p1").id);
    await expect.poll(votes, PATIENCE).toBe(0);
    await expect.poll(() => at.cases().length).toBe(1);
    expect([at.askedLogs().length, playground.identifyCount]).toEqual([asked, identified]);
  });

  test("where the log cannot be read, nothing of the server is learnt until it can; deletions are honoured at once", async () => {
    const { liked, moderators, person, playground, gap, ...at } = await openWatched();
    const { votes } = await liked("p1", "sade");
    const deleted = await liked("sade");
    const path = `/guilds/${GUILD}/audit-logs`;
    playground.faults.rest({ kind: "status", status: 500, method: "GET", path, times: 4 });
    await gap(() => {
      moderators.ban(person("p1").id);
      person("noor").delete(deleted.question.id);
    });
    const isErased = () => at.feedback.exchange(deleted.exchangeId)?.deleted;
    await expect.poll(isErased, PATIENCE).toBe(true);
    const backlog = () => {
      const { unread, unreadGuilds } = at.feedback.hearing.backlog(Date.now());
      return [unread, unreadGuilds];
    };
    // Nobody need wait for it, but it is left out.
    await expect.poll(backlog, PATIENCE).toEqual([0, 0]);
    expect([votes(), at.unsure() > 0]).toEqual([2, true]);
    await gap(() => undefined);
    await expect.poll(() => at.unsure(), PATIENCE).toBe(0);
    expect(votes()).toBe(1);
  });
});

describe("without the permission to view the audit log", () => {
  test("nothing is asked, nothing waits, and it is said once what to do", async () => {
    const { liked, moderators, person, away, gap, ...at } = await openWatched(BLIND);
    const { votes } = await liked("p1");
    const { log, warnings } = listeningLog();
    await away(() => moderators.ban(person("p1").id), log);
    await at.caughtUp();
    await gap(() => undefined);
    await at.caughtUp();
    expect([at.askedLogs(), votes(), at.unsure()]).toEqual([[], 1, 0]);
    expect(warnings.filter((text) => text.includes("audit log"))).toEqual([
      expect.stringContaining("Give its role View Audit Log"),
    ]);
  });

  test("one refusal is enough where it was taken away meanwhile", async () => {
    const { liked, playground, gap, ...at } = await openWatched();
    await liked("p1");
    const path = `/guilds/${GUILD}/audit-logs`;
    playground.faults.rest({ kind: "status", status: 403, method: "GET", path, times: 3 });
    const asked = at.askedLogs().length;
    await gap(() => undefined);
    await at.caughtUp();
    expect([at.askedLogs().length - asked, at.unsure()]).toEqual([1, 0]);
  });
});
