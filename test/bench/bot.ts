/**
 * Loads the bot, in a process of its own, through the local Discord: interactions over some seconds, each
 * to be acknowledged, then a burst of reactions, none to be lost. Prints the figures as JSON.
 *
 *   npm run bench:bot -- [--interactions 1000] [--seconds 10] [--reactions 10000]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startPlayground } from "#deploy/playground/start.ts";
import { systemClock } from "#engine/base/clock.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { ScriptedEngine } from "../bot/support/scripted-engine.ts";

const TOKEN = "a-token-for-the-benchmark";
const PEOPLE = 250;
const POLL_MS = 250;
const PATIENCE_MS = 240_000;

const { values } = parseArgs({
  options: {
    interactions: { type: "string", default: "1000" },
    seconds: { type: "string", default: "10" },
    reactions: { type: "string", default: "10000" },
  },
});
const dataDir = mkdtempSync(join(tmpdir(), "bench-bot-"));
const playground = await startPlayground({
  ...{ host: "127.0.0.1", port: 0, dataDir, botToken: TOKEN, clock: systemClock },
});
const engine = await ScriptedEngine.start();
const bot = spawn(process.execPath, ["bot/main.ts", "--json"], {
  env: {
    ...process.env,
    DISCORD_TOKEN: TOKEN,
    DISCORD_API_URL: playground.apiUrl,
    ENGINE_URL: engine.url,
    DATA_DIR: dataDir,
    LOG_LEVEL: "error",
    PRIVACY_PORT: "0",
    PERSON_REQUESTS_PER_MINUTE: "600",
  },
  stdio: ["ignore", "ignore", "inherit"],
});
try {
  await playground.waitForBot({ command: "help", timeoutMs: 60_000 });
  const interactions = await loadInteractions(Number(values.interactions), Number(values.seconds));
  const reactions = await burst(Number(values.reactions));
  const machine = { processors: availableParallelism(), loadAverage: loadavg()[0] };
  process.stdout.write(`${JSON.stringify({ machine, interactions, reactions }, null, 2)}\n`);
} finally {
  bot.kill("SIGKILL");
  await Promise.all([engine.close(), playground.close()]);
  rmSync(dataDir, { recursive: true, force: true });
}

/** Spread evenly over the seconds: questions, requests for help and for what is kept, from many people. */
async function loadInteractions(count: number, seconds: number) {
  const general = playground.channelId("general");
  const before = residentMiB();
  const startedMs = performance.now();
  const results = Array.from({ length: count }, async (_, index) => {
    await sleep((index / count) * seconds * 1_000);
    const person = playground.person(`p${index % PEOPLE}`);
    const sentMs = performance.now();
    const [name, options] = commandOf(index);
    const outcome = await person.slash(general, name, options);
    return { kind: outcome.kind, ms: performance.now() - sentMs };
  });
  const all = await Promise.all(results);
  const times = all.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.ceil(share * times.length) - 1] ?? 0);
  return {
    sent: count,
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
    acknowledged: all.filter(({ kind }) => kind !== "failed").length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    memoryMiB: { before, after: residentMiB() },
  };
}

function commandOf(index: number): [string, Record<string, string | boolean>] {
  if (index % 3 === 0) return ["chat", { text: `Question ${index}?`, ephemeral: true }];
  return index % 3 === 1 ? ["help", {}] : ["mydata show", {}];
}

/** Everybody likes one answer at once. */
async function burst(count: number) {
  const general = playground.channelId("cooking");
  playground.person("mira").say(general, "<@1200000000000000002> Something to like?");
  const answer = await playground.waitFor(({ content }) => content.includes("-# nano"), {
    channelId: general,
    timeoutMs: PATIENCE_MS,
  });
  const people = Array.from({ length: count }, (_, index) => playground.person(`fan${index}`));
  using log = FeedbackLog.open(feedbackPath(dataDir));
  const before = residentMiB();
  const startedMs = performance.now();
  for (const person of people) person.react(answer.id, "👍");
  const sentMs = performance.now() - startedMs;
  let [recorded, mostMiB] = [0, before];
  while (recorded < count && performance.now() - startedMs < PATIENCE_MS) {
    await sleep(POLL_MS);
    recorded = log.counts().standingRatings;
    mostMiB = Math.max(mostMiB, residentMiB());
  }
  return {
    sent: count,
    sentInSeconds: Math.round(sentMs / 100) / 10,
    recorded,
    recordedInSeconds: Math.round((performance.now() - startedMs) / 100) / 10,
    memoryMiB: { before, most: mostMiB },
  };
}

/** Resident memory of the bot's process; Linux alone tells. */
function residentMiB(): number {
  const status = readFileSync(`/proc/${bot.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
}
