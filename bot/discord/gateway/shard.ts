/** Which part of the servers a process has: https://discord.com/developers/docs/events/gateway#sharding. */

/** One of `count` processes, from 0. A server is on shard `(id >> 22) % count`; direct messages are on shard 0. */
export type Shard = { readonly index: number; readonly count: number };

/** All servers in one process. */
export const ONLY_SHARD: Shard = { index: 0, count: 1 };

/** What discord.js's ShardingManager gives each process; one process without it has all. */
export function shardOf(environment: Readonly<Record<string, string | undefined>>): Shard {
  if (environment["SHARDING_MANAGER"] === undefined) return ONLY_SHARD;
  return { index: Number(environment["SHARDS"]), count: Number(environment["SHARD_COUNT"]) };
}

/** Whether this process does what is done once for all: commands, the privacy page, retention. */
export function isFirst(shard: Shard): boolean {
  return shard.index === 0;
}
