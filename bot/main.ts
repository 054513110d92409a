/**
 * The bot's process: `node bot/main.ts [--json]`. Settings come from the environment and `.env`.
 * Exit code 1 with one message when it cannot start; 0 after SIGTERM or SIGINT, answers finished.
 */
import { parseArgs } from "node:util";
import { loadConfig, ownEnvironment } from "#engine/base/config.ts";
import { reportFailure } from "#engine/base/entry-point.ts";
import { createLog } from "#engine/base/log.ts";
import { shardOf } from "./discord/gateway/shard.ts";
import { type RunningBot, startBot } from "./discord/start-bot.ts";

/** Answers in flight may take this long after SIGTERM; a service manager waits 30 s. */
const DRAIN_MS = 25_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const config = loadConfig();
  const shard = shardOf(ownEnvironment());
  const log = createLog(shard.count === 1 ? "bot" : `bot-${shard.index}`, config.LOG_LEVEL);
  const bot = await startBot(config, log, { shard });
  stopOnSignal(bot);
  void bot.lost.then(fail);
  const ready = { event: "ready", service: "bot", name: bot.name, inviteUrl: bot.inviteUrl };
  process.stdout.write(
    values.json
      ? `${JSON.stringify(ready)}\n`
      : `${bot.name} is ready. Add it to a server:\n  ${bot.inviteUrl}\n`,
  );
}

function stopOnSignal(bot: RunningBot): void {
  const stop = () => {
    // A second signal ends the process at once.
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
    void bot.stop(DRAIN_MS).then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function fail(error: unknown): void {
  reportFailure("bot", process.argv.includes("--json"), error);
  process.exit(1);
}

main().catch(fail);
