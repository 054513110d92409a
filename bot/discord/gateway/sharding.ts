/**
 * discord.js's ShardingManager, which makes the processes that share the servers and tells each which ones it
 * has. When one is started again is decided by its caller: by itself it would do so at once, for ever.
 */
import type { ChildProcess } from "node:child_process";
import { REST, Routes, ShardingManager, type Shard as ShardProcess } from "discord.js";
import { z } from "zod";
import { type DiscordAccess, explained } from "../client.ts";

/** What Discord recommends: https://discord.com/developers/docs/events/gateway#get-gateway-bot. */
const gatewaySchema = z.object({
  shards: z.int().min(1),
  session_start_limit: z.object({ max_concurrency: z.int().min(1) }),
});

/** How many processes, and how many of them may join at the same time. */
export type ShardPlan = { readonly count: number; readonly maxConcurrency: number };

/**
 * Asks Discord.
 * @param asked a number of processes; `auto` takes what Discord recommends
 * @throws CodedError `discord_token_invalid`, `discord_unreachable`
 */
export async function planShards(
  access: Pick<DiscordAccess, "apiUrl" | "token">,
  asked: number | "auto",
): Promise<ShardPlan> {
  const rest = new REST({ api: access.apiUrl }).setToken(access.token);
  const answer = await explained(access, () => rest.get(Routes.gatewayBot()));
  const { shards, session_start_limit: limit } = gatewaySchema.parse(answer);
  const count = asked === "auto" ? shards : Math.max(1, asked);
  return { count, maxConcurrency: limit.max_concurrency };
}

/** Starts a shard's process, its output on pipes; to be called again only after it has ended. */
export type SpawnShard = (index: number) => ChildProcess;

/**
 * @param given.file what each process runs
 * @param given.execArgv Node's own arguments
 */
export function openSharding(given: {
  readonly file: string;
  readonly count: number;
  readonly token: string;
  readonly args: readonly string[];
  readonly execArgv: readonly string[];
}): SpawnShard {
  const { file, count, token } = given;
  const manager = new ShardingManager(file, {
    ...{ token, mode: "process", respawn: false, silent: true },
    totalShards: count,
    shardArgs: [...given.args],
    execArgv: [...given.execArgv],
  });
  const shards = new Map<number, ShardProcess>();
  return (index) => {
    const shard = shards.get(index) ?? manager.createShard(index);
    shards.set(index, shard);
    // Without a time to wait the process is there before the call returns; no process means it failed.
    shard.spawn(-1).catch(() => undefined);
    if (shard.process === null) throw new Error(`shard ${index} has no process`);
    return shard.process;
  };
}
