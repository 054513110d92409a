/**
 * The bot in several processes: `node deploy/shards/main.ts [--json]`, with SHARDS=auto or a number. It ends
 * as `bot/main.ts` does: exit code 1 with one message when it cannot start; 0 after SIGTERM or SIGINT.
 */
import { fileURLToPath } from "node:url";
import { aborted, parseArgs } from "node:util";
import { openSharding, planShards } from "#bot/discord/gateway/sharding.ts";
import { type Config, loadConfig } from "#engine/base/config.ts";
import { reportFailure } from "#engine/base/entry-point.ts";
import { CodedError } from "#engine/base/errors.ts";
import { createLog } from "#engine/base/log.ts";
import { FOLLOW_PARENT, type StartChild, watchChild } from "../start/child.ts";
import { runShards } from "./run-shards.ts";

const BOT = fileURLToPath(new URL("../../bot/main.ts", import.meta.url));
/** Answers in flight get 25 s of it; whoever ended this process waits 30 s. */
const GRACE_MS = 28_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const config = loadConfig();
  const log = createLog("shards", config.LOG_LEVEL);
  const stop = stopSignal();
  const token = requireToken(config);
  const plan = await planShards({ apiUrl: config.DISCORD_API_URL, token }, config.SHARDS);
  if (plan.count > 1 && config.REDIS_URL === undefined) {
    log.warn("Without REDIS_URL each shard counts the limits by person for itself.");
  }
  const startShard = starter(plan.count, token);
  const onLog = (line: string) => process.stderr.write(`${line}\n`);
  const shards = await runShards({ ...plan, startShard, onLog, log }, stop).catch(
    (error: unknown) => {
      if (stop.aborted) process.exit(0);
      throw error;
    },
  );
  const ready = { ...shards.first, shards: plan.count };
  process.stdout.write(
    values.json ? `${JSON.stringify(ready)}\n` : `${plan.count} shards are ready.\n`,
  );
  try {
    await Promise.race([aborted(stop, shards), shards.failed]);
  } finally {
    await shards.stop(GRACE_MS);
  }
  process.exit(0);
}

/** Each shard ends when this process does, however it ends. */
function starter(count: number, token: string): (index: number) => StartChild {
  const execArgv = ["--import", FOLLOW_PARENT];
  const spawn = openSharding({ file: BOT, count, token, args: ["--json"], execArgv });
  return (index) => (spec, onLine, onLog) => watchChild(spawn(index), spec.name, onLine, onLog);
}

/** Aborted by the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => stop.abort());
  }
  return stop.signal;
}

function requireToken(config: Config): string {
  if (config.DISCORD_TOKEN !== undefined) return config.DISCORD_TOKEN;
  throw new CodedError(
    "DISCORD_TOKEN is not set. Put your bot's token into .env (see .env.example).",
    {
      code: "discord_token_missing",
    },
  );
}

main().catch((error: unknown) => {
  reportFailure("bot", process.argv.includes("--json"), error);
  process.exit(1);
});
