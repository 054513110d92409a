/** Serves a client's figures where the settings want them. */
import { type Client, Events, Status } from "discord.js";
import type { Redis } from "ioredis";
import type { Config } from "#engine/base/config.ts";
import type { Logger } from "#engine/base/log.ts";
import type { AnswerDesk } from "../answer/answer-desk.ts";
import type { RequestLimits } from "../answer/request-limits.ts";
import { BotFigures, serveFigures } from "../metrics/bot-figures.ts";
import type { Served } from "../web/serve.ts";
import type { ConnectionLife } from "./client.ts";
import type { Shard } from "./gateway/shard.ts";

/** A port that is taken must not keep the bot away: it is told, and the figures are not served. */
export async function openFigures(parts: {
  readonly config: Config;
  readonly client: Client;
  readonly shard: Shard;
  readonly desk: AnswerDesk;
  readonly limits: RequestLimits;
  readonly life: ConnectionLife;
  readonly redis: Redis | undefined;
  readonly log: Logger;
}): Promise<Served | undefined> {
  const { config, client, shard, desk, limits, life, redis, log } = parts;
  const { BOT_METRICS_HOST: host, BOT_METRICS_PORT: port } = config;
  if (port === undefined) return undefined;
  const figures = new BotFigures({
    shard,
    isConnected: () => client.ws.status === Status.Ready,
    pingMs: () => client.ws.ping,
    guilds: () => client.guilds.cache.size,
    inFlight: () => desk.inFlight,
    waiting: () => limits.waiting,
    identifiesLeft: () => life.identify.left,
    isCircuitOpen: () => life.circuit.isOpen,
    isRedisUp: () => (redis === undefined ? undefined : redis.status === "ready"),
  });
  client.on(Events.ShardReconnecting, () => figures.reconnects());
  try {
    return await serveFigures(figures, { host, port: port === 0 ? 0 : port + shard.index }, log);
  } catch (error) {
    log.warn({ err: error }, "the bot's figures are not served");
    return undefined;
  }
}
