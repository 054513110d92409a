/**
 * Since when the bot has not heard a shard's gateway: from the last packet of one session to the READY of
 * the next, also over restarts. A session that is resumed has nothing missing. It knows no messages.
 */
import { type Client, Status } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { Hearing, UnheardMessage } from "#trainer/feedback/hearing.ts";
import type { UnheardActs, UnheardActsBook } from "#trainer/feedback/unheard-acts.ts";
import { WATCHED_ACTS } from "../moderation/acts.ts";
import type { Shard } from "./shard.ts";

/** The time of the last packet is written down so often: edits of so long may be looked at twice. */
const SAVED_EVERY_MS = 30_000;

type Known = {
  session: string;
  guildIds: readonly string[];
  savedAtMs: number;
  /** What may have been missed before the session is written down. */
  isMarked: boolean;
};

/** The absence of each shard. */
export class Absence {
  /** What moderators did: heard, read, or still to be read. */
  readonly acts: UnheardActsBook;
  readonly #hearing: Hearing;
  readonly #count: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #shards = new Map<number, Known>();

  /** @param hearing keeps over restarts what was missed */
  constructor(hearing: Hearing, { count }: Pick<Shard, "count">, clock: Clock, log: Logger) {
    this.acts = hearing.acts;
    this.#hearing = hearing;
    this.#count = count;
    this.#clock = clock;
    this.#log = log;
  }

  /** Everything was heard up to then, in a session that has begun. */
  heard(shardId: number, atMs: number = this.#clock.nowMs()): void {
    const shard = this.#shards.get(shardId);
    if (shard === undefined || atMs - shard.savedAtMs < SAVED_EVERY_MS) return;
    this.#save(shard, () => {
      const watched = { guildIds: shard.guildIds, acts: WATCHED_ACTS };
      if (!shard.isMarked) this.#hearing.begins(this.#listener(shardId), atMs, watched);
      else this.#hearing.heard(this.#listener(shardId), atMs);
      return atMs;
    });
  }

  /**
   * A new session begins; to be told before anything else of that session.
   * @param guildIds the shard's servers
   */
  begins(shardId: number, session: string, guildIds: readonly string[] = []): void {
    const shard = { session, guildIds, savedAtMs: Number.NEGATIVE_INFINITY, isMarked: false };
    this.#shards.set(shardId, shard);
    this.heard(shardId);
  }

  /** Whether this session is the shard's newest. */
  isNewest(shardId: number, session: string): boolean {
    return this.#shards.get(shardId)?.session === session;
  }

  /** The messages about which something may have been missed, newest first. @throws CodedError `database_failed` */
  unheard(shardId: number): readonly UnheardMessage[] {
    return this.#hearing.unheard(this.#listener(shardId));
  }

  /** What moderators may have done unheard. @throws CodedError `database_failed` */
  unheardActs(shardId: number): readonly UnheardActs[] {
    return this.acts.unheard(this.#listener(shardId));
  }

  /** A message has been read again, or could not be. @throws CodedError `disk_full`, `database_failed` */
  tried(messageId: string, wasRead: boolean): void {
    if (wasRead) this.#hearing.wasRead(messageId);
    else this.#hearing.couldNotRead(messageId);
  }

  /** Where it cannot be written (a full disk), the log counts as not up to date until it can. */
  #save(shard: Known, work: () => number): void {
    try {
      shard.savedAtMs = work();
      shard.isMarked = true;
    } catch (error) {
      this.#log.error({ err: error }, "what was heard of Discord was not noted");
    }
  }

  #listener(index: number): Shard {
    return { index, count: this.#count };
  }
}

/**
 * In a quiet server heartbeats say that there was nothing to hear: everything before the last one that
 * Discord acknowledged has come. @returns what ends it
 */
export function hearHeartbeats(client: Client, absence: Absence): Disposable {
  const timer = setInterval(() => {
    for (const [id, { status, lastPingTimestamp }] of client.ws.shards) {
      if (status === Status.Ready && lastPingTimestamp > 0) absence.heard(id, lastPingTimestamp);
    }
  }, SAVED_EVERY_MS / 2).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
