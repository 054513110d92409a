/**
 * After a gap in what the gateway told, the servers' audit logs say what moderators did meanwhile: it is carried
 * out as if it had been heard. Bounded, one request at a time, and none where the bot may not read the log.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type APIAuditLog,
  DiscordAPIError,
  type Guild,
  PermissionFlagsBits,
  Routes,
  SnowflakeUtil,
} from "discord.js";
import type { UnheardActs } from "#trainer/feedback/unheard-acts.ts";
import type { ActEntry } from "../moderation/acts.ts";
import { onMissedAct } from "../moderation/events.ts";
import type { Room } from "../room.ts";
import { PAUSE_MS } from "./pause.ts";

/** The most that Discord gives at once. */
const PAGE = 100;
/** Pages of one kind of act that are read in one go; the next go reads on from there. */
const PAGES = 50;
/** Where no entry of a server was ever heard, our own clock says from when to read: it may be so wrong. */
const CLOCKS_DIFFER_MS = 60 * 60_000;
/** Discord forgets older entries, https://discord.com/developers/docs/resources/audit-log */
const KEPT_MS = 45 * 24 * 60 * 60_000;
/** How often to look, in one reading, whether Discord has told of the servers of a new session. */
const LOOKS = 60;
/** Cases whose messages are under way at once. */
const SHOWING = 500;
const FORBIDDEN = 403;

/** `closed`: the bot may not read it. */
type Outcome = "read" | "closed" | "unread";

/** One reading of all audit logs that are to be read. */
export class AuditLogs {
  readonly #room: Room;
  readonly #goesOn: () => boolean;
  readonly #unheard: Map<string, readonly UnheardActs[]>;
  readonly #failed = new Set<string>();
  readonly #showing: Promise<void>[] = [];
  #looksLeft = LOOKS;
  #count = 0;

  /** @param goesOn whether the session still is the newest */
  constructor(room: Room, shardId: number, goesOn: () => boolean) {
    this.#room = room;
    this.#goesOn = goesOn;
    this.#unheard = Map.groupBy(room.absence.unheardActs(shardId), ({ guildId }) => guildId);
  }

  /** Servers with acts that are still to be read. */
  get left(): readonly string[] {
    return [...this.#unheard.keys()];
  }

  /** Entries that were read. */
  get count(): number {
    return this.#count;
  }

  /** Reads a server's, once. @returns whether all is known that can be */
  async areKnown(guildId: string): Promise<boolean> {
    const acts = this.#unheard.get(guildId);
    if (acts === undefined) return true;
    if (this.#failed.has(guildId)) return false;
    const isKnown = await this.#read(guildId, acts).catch((error: unknown) => {
      this.#room.log.warn({ err: error, guildId }, "a server's audit log could not be read");
      return false;
    });
    if (isKnown) this.#unheard.delete(guildId);
    else this.#failed.add(guildId);
    return isKnown;
  }

  /** What could not be read need not be waited for. @throws CodedError `disk_full`, `database_failed` */
  giveUp(): void {
    for (const acts of this.#unheard.values()) {
      for (const one of acts) this.#room.absence.acts.couldNotRead(one);
    }
  }

  /** @throws Error where Discord fails; CodedError where the log's file does */
  async #read(guildId: string, unheard: readonly UnheardActs[]): Promise<boolean> {
    const guild = await this.#available(guildId);
    if (guild === undefined) return false;
    this.#noteForgotten(guild, unheard);
    let isClosed = !mayReadAuditLog(guild);
    for (const acts of unheard) {
      const outcome = isClosed ? "closed" : await this.#readActs(acts);
      if (outcome === "unread") return false;
      // The permission may have been taken away since Discord told of it.
      if (outcome === "closed" && !isClosed) noteClosed(this.#room, [guild]);
      isClosed = outcome === "closed";
      this.#room.absence.acts.settled(acts);
    }
    return true;
  }

  /** A new session tells of its servers one by one; those that Discord has lost for now come later. */
  async #available(guildId: string): Promise<Guild | undefined> {
    for (; this.#goesOn(); this.#looksLeft -= 1) {
      const guild = this.#room.client.guilds.cache.get(guildId);
      if (guild?.available === true && guild.members.me !== null) return guild;
      if (guild === undefined || this.#looksLeft <= 0) return undefined;
      await sleep(PAUSE_MS);
    }
    return undefined;
  }

  /** Oldest first, so that where it ends early the next reading goes on from there. */
  async #readActs(acts: UnheardActs): Promise<Outcome> {
    const sinceMs = Math.max(
      acts.heardAtMs - CLOCKS_DIFFER_MS,
      this.#room.clock.nowMs() - KEPT_MS - CLOCKS_DIFFER_MS,
    );
    let afterId = acts.afterId ?? snowflakeAt(sinceMs);
    for (let page = 0; page < PAGES && this.#goesOn(); page++) {
      const entries = await this.#fetchPage(acts, afterId);
      if (entries === "closed") return "closed";
      for (const entry of entries) {
        this.#showing.push(onMissedAct(this.#room, acts.guildId, entry, acts.begunAtMs));
      }
      // Messages of cases are slow by Discord's limits; what is learnt need not wait for them.
      if (this.#showing.length >= SHOWING) await Promise.all(this.#showing.splice(0));
      this.#count += entries.length;
      afterId = entries.at(-1)?.id ?? afterId;
      if (entries.length > 0) this.#room.absence.acts.readUpTo(acts, afterId);
      await sleep(PAUSE_MS);
      if (entries.length < PAGE) return "read";
    }
    return "unread";
  }

  async #fetchPage(
    { guildId, act }: UnheardActs,
    afterId: string,
  ): Promise<readonly ActEntry[] | "closed"> {
    const query = new URLSearchParams({
      ...{ action_type: String(act), after: afterId, limit: String(PAGE) },
    });
    try {
      const route = Routes.guildAuditLog(guildId);
      const read = (await this.#room.client.rest.get(route, { query })) as APIAuditLog;
      return read.audit_log_entries.toSorted((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
    } catch (error) {
      if (error instanceof DiscordAPIError && error.status === FORBIDDEN) return "closed";
      throw error;
    }
  }

  #noteForgotten({ name }: Guild, unheard: readonly UnheardActs[]): void {
    const heardAtMs = Math.min(...unheard.map((acts) => acts.heardAtMs));
    if (heardAtMs >= this.#room.clock.nowMs() - KEPT_MS) return;
    this.#room.log.warn(
      { server: name, heardUntil: new Date(heardAtMs).toISOString() },
      "The bot was away for longer than the 45 days that Discord keeps an audit log: whom moderators banned or removed before is not known, and what these people voted still counts.",
    );
  }
}

/** Whether the bot may; Discord then also tells of removals and time-outs as they happen. */
function mayReadAuditLog({ members }: Guild): boolean {
  return members.me?.permissions.has(PermissionFlagsBits.ViewAuditLog) === true;
}

/** Says of each server whose audit log is closed to the bot what that means, and what to do. */
export function noteClosedLogs(room: Room): void {
  const closed = room.client.guilds.cache.filter(
    (guild) => guild.available && guild.members.me !== null && !mayReadAuditLog(guild),
  );
  noteClosed(room, [...closed.values()]);
}

/** Once for each server. */
function noteClosed({ closedLogs, log }: Room, guilds: readonly Guild[]): void {
  const untold = guilds.filter(({ id }) => !closedLogs.has(id));
  if (untold.length === 0) return;
  for (const { id } of untold) closedLogs.add(id);
  log.warn(
    { servers: untold.map(({ name }) => name) },
    "The bot may not view the audit log of these servers, so it hears of no removal and no time-out, and of no ban that happens while it is away: what these people voted goes on counting. Give its role View Audit Log (Server Settings → Roles), or invite it anew by the address printed at start.",
  );
}

/** The least id of what happens then or later, https://discord.com/developers/docs/reference#snowflakes */
function snowflakeAt(atMs: number): string {
  const since = BigInt(Math.floor(atMs)) - SnowflakeUtil.epoch;
  return String((since > 0n ? since : 0n) << 22n);
}
