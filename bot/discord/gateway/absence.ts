/**
 * Since when the bot has not heard a shard's gateway: from the last packet of one session to the READY of
 * the next, also over restarts. A session that is resumed has nothing missing. It knows no messages.
 */
import type { Keyv } from "keyv";
import type { Clock } from "#engine/base/clock.ts";

/** The time of the last packet is written down so often: edits of so long may be looked at twice. */
const SAVED_EVERY_MS = 60_000;

type Shard = {
  heardAtMs: number | undefined;
  savedAtMs: number;
  /** The session that has not caught up: until it has, what is heard says nothing about what was missed. */
  behind: string | undefined;
};

/** The absence of each shard. */
export class Absence {
  readonly #store: Keyv;
  readonly #clock: Clock;
  readonly #shards = new Map<number, Shard>();

  /** @param store keeps the times over restarts */
  constructor(store: Keyv, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** A packet came. */
  heard(shardId: number): void {
    const shard = this.#shard(shardId);
    if (shard.behind !== undefined) return;
    const now = this.#clock.nowMs();
    shard.heardAtMs = now;
    if (now - shard.savedAtMs < SAVED_EVERY_MS) return;
    shard.savedAtMs = now;
    // Keyv reports a failing store by its event; then more is read again after the next start.
    void this.#store.set(keyOf(shardId), now).catch(() => undefined);
  }

  /** A new session begins; to be told before anything else of that session. */
  ends(shardId: number, session: string): void {
    this.#shard(shardId).behind = session;
  }

  /** Whether this session is the shard's newest, and has not caught up. */
  isBehind(shardId: number, session: string): boolean {
    return this.#shard(shardId).behind === session;
  }

  /** When the shard was heard last before the new session; undefined when nobody knows. */
  async sinceMs(shardId: number): Promise<number | undefined> {
    const shard = this.#shard(shardId);
    if (shard.heardAtMs !== undefined) return shard.heardAtMs;
    const stored: unknown = await this.#store.get(keyOf(shardId));
    shard.heardAtMs = typeof stored === "number" ? stored : undefined;
    return shard.heardAtMs;
  }

  /** What was missed has been read again. */
  caughtUp(shardId: number): void {
    this.#shard(shardId).behind = undefined;
    this.heard(shardId);
  }

  #shard(shardId: number): Shard {
    const known = this.#shards.get(shardId);
    if (known !== undefined) return known;
    const shard = { heardAtMs: undefined, savedAtMs: 0, behind: undefined };
    this.#shards.set(shardId, shard);
    return shard;
  }
}

function keyOf(shardId: number): string {
  return `heard:${shardId}`;
}
