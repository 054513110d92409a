/** A local Discord, the real bot in it, and a scripted engine behind it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { APIMessage } from "discord-api-types/v10";
import { vi } from "vitest";
import { type RunningBot, startBot } from "#bot/discord/start-bot.ts";
import type { Playground } from "#deploy/playground/playground.ts";
import { type PlaygroundOptions, startPlayground } from "#deploy/playground/start.ts";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import { type Config, parseConfig } from "#engine/base/config.ts";
import { createLog } from "#engine/base/log.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { recording } from "../../conformance/recording.ts";
import { ScriptedEngine } from "./scripted-engine.ts";
import { type Sent, Wiretap } from "./wiretap.ts";

/** Everything a test needs; closed by `close`. */
export type Lounge = {
  readonly playground: Playground;
  readonly engine: ScriptedEngine;
  readonly tap: Wiretap;
  readonly config: Config;
  readonly bot: RunningBot;
  /** The feedback log as a second reader sees it. */
  readonly feedback: FeedbackLog;
  close(): Promise<void>;
};

/** A tenth of the real one, so that tests are short. */
const EDIT_INTERVAL_MS = 100;
const TOKEN = "a-token-for-tests";

/** @param settings on top of the defaults, by their names in `.env` */
export async function openLounge(
  settings: Record<string, string> = {},
  /** The local Discord's own. */
  clock: Clock = systemClock,
  /** Of the bot's role; those of the chat's invitation when left out. */
  botPermissions?: bigint,
  /** Further options of the local Discord. */
  options: Partial<PlaygroundOptions> = {},
): Promise<Lounge> {
  const dataDir = mkdtempSync(join(tmpdir(), "lounge-"));
  const playground = await startPlayground({
    host: "127.0.0.1",
    port: 0,
    dataDir,
    botToken: TOKEN,
    clock,
    ...recording(),
    ...(botPermissions === undefined ? {} : { botPermissions }),
    ...options,
  });
  const engine = await ScriptedEngine.start();
  const tap = await Wiretap.start(playground.url);
  const config = parseConfig({
    DISCORD_TOKEN: TOKEN,
    DISCORD_API_URL: `${tap.url}/api`,
    ENGINE_URL: engine.url,
    DATA_DIR: dataDir,
    PERSON_REQUESTS_PER_MINUTE: "600",
    PRIVACY_PORT: "0",
    LOG_LEVEL: "silent",
    ...settings,
  });
  const log = createLog("bot", process.env["TEST_LOG"] ?? config.LOG_LEVEL);
  const bot = await startBot(config, log, { editIntervalMs: EDIT_INTERVAL_MS });
  await playground.waitForBot({ command: "chat" });
  const feedback = FeedbackLog.open(feedbackPath(config.DATA_DIR));
  const close = async () => {
    await bot.stop(0);
    assertNoMentions(tap.sent);
    feedback.close();
    await Promise.all([tap.close(), engine.close(), playground.close()]);
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { playground, engine, tap, config, bot, feedback, close };
}

/** Whatever a test did: each message that the bot sent or edited parses no mention. */
function assertNoMentions(sent: readonly Sent[]): void {
  const messages = sent
    .map(({ body }) => JSON.stringify(body))
    .filter((text) => text.includes('"content"'));
  if (messages.length === 0) throw new Error("the bot sent no message at all");
  for (const text of messages) {
    if (text.includes('"allowed_mentions":{"parse":[],"replied_user":false}')) continue;
    throw new Error(`a message may mention people: ${text}`);
  }
}

/** An answer is finished when its footer and its buttons stand. */
function isFinished(message: APIMessage): boolean {
  return /\n-# nano · /.test(message.content) && buttonId(message, "vote:+") !== undefined;
}

/** The custom id of a message's button that begins so. */
export function buttonId(message: APIMessage, beginning: string): string | undefined {
  const found = /"custom_id":"([^"]*)"/g;
  const ids = [...JSON.stringify(message.components ?? []).matchAll(found)].map(([, id]) => id);
  return ids.find((id) => id?.startsWith(beginning));
}

/** The next answer that is finished and says `text`, once the log (if one is given) knows its message. */
export async function finishedAnswer(
  lounge: Pick<Lounge, "playground"> & Partial<Pick<Lounge, "feedback">>,
  text: string,
): Promise<APIMessage> {
  const found = await lounge.playground.waitFor(
    (message) =>
      message.author.bot === true && isFinished(message) && message.content.includes(text),
  );
  const { feedback } = lounge;
  if (feedback === undefined) return found;
  await vi.waitUntil(() => feedback.candidateOfMessage(found.id) !== undefined, {
    timeout: 5_000,
    interval: 5,
  });
  return found;
}
