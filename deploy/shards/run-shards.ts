/**
 * The bot's processes: started in Discord's order, each started again alone when it crashes, all ended
 * together. It knows nothing of what they do.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { aborted } from "node:util";
import type { CodedError } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { ChildLine, StartChild } from "../start/child.ts";
import { type Service, superviseService } from "../start/service.ts";

/** The running processes. */
export type RunningShards = {
  /** What the first process said when it was ready. */
  readonly first: ChildLine;
  /** Rejects when one of them cannot run at all. */
  readonly failed: Promise<never>;
  /** Lets all finish their answers for so long. */
  stop(graceMs: number): Promise<void>;
};

/** What they need. */
export type ShardOptions = {
  readonly count: number;
  /** Those of one round join at the same time; https://discord.com/developers/docs/events/gateway#sharding-max-concurrency */
  readonly maxConcurrency: number;
  /** How a shard's process is started. */
  readonly startShard: (index: number) => StartChild;
  readonly onLog: (line: string) => void;
  readonly log: Logger;
};

/**
 * Starts them, as many at a time as Discord allows, and resolves when all are ready.
 * @param stop aborting it ends the start
 * @throws CodedError why one of them cannot run; the others have ended then
 */
export async function runShards(options: ShardOptions, stop: AbortSignal): Promise<RunningShards> {
  const { count, maxConcurrency } = options;
  const services: Service[] = [];
  const failed = Promise.withResolvers<never>();
  // Awaited in races only.
  failed.promise.catch(() => undefined);
  const stopAll = async (graceMs: number): Promise<void> => {
    await Promise.all(services.map((service) => service.stop(graceMs)));
  };
  const ready: ChildLine[] = [];
  try {
    for (let first = 0; first < count; first += maxConcurrency) {
      stop.throwIfAborted();
      const round = Array.from({ length: Math.min(maxConcurrency, count - first) }, (_, n) => {
        const { service, isReady } = superviseShard(first + n, options, failed.reject);
        services.push(service);
        return isReady;
      });
      const stopped = aborted(stop, services).then(() => Promise.reject(stop.reason));
      ready.push(...(await Promise.race([Promise.all(round), failed.promise, stopped])));
    }
  } catch (error) {
    await stopAll(0);
    throw error;
  }
  const [first] = ready;
  if (first === undefined) throw new Error(`expected at least one shard, got ${count}`);
  return { first, failed: failed.promise, stop: stopAll };
}

function superviseShard(
  index: number,
  options: ShardOptions,
  onFailed: (error: CodedError) => void,
): { readonly service: Service; readonly isReady: Promise<ChildLine> } {
  const { count, startShard, onLog, log } = options;
  const ready = Promise.withResolvers<ChildLine>();
  const spec = { name: `bot's shard ${index} of ${count}`, entry: "", args: [], env: {} };
  const service = superviseService(
    () => spec,
    {
      onReady: (line) => {
        log.info({ shard: index, shards: count }, "a shard is ready");
        ready.resolve(line);
      },
      onRestart: (reason, delayMs) =>
        log.error({ shard: index, reason, delayMs }, "a shard ended and is started again"),
      onFailed,
      onLog,
      onEvent: () => undefined,
      sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
    },
    startShard(index),
  );
  return { service, isReady: ready.promise };
}
