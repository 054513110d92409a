/**
 * What moderators may have done while a process did not hear Discord: for each server and kind of act, from
 * where the server's own records are still to be read. It knows no kinds, and neither Discord nor training.
 */
import { z } from "zod";
import type { Listener } from "./hearing.ts";
import type { LogDatabase } from "./log-database.ts";
import { HEARD, SHARD } from "./schema.ts";

/** Whose acts a process hears: its servers, and kinds as Discord's audit log numbers them. */
export type Watched = { readonly guildIds: readonly string[]; readonly acts: readonly number[] };

/** A server's acts of one kind, of which some may not have been heard. */
export type UnheardActs = {
  readonly guildId: string;
  readonly act: number;
  /** The last entry that was heard or read; undefined where there was none yet. */
  readonly afterId: string | undefined;
  /** Until then everything was heard; where nobody knows, when the server's first exchange was recorded. */
  readonly heardAtMs: number;
  /** From then on everything is heard again. */
  readonly begunAtMs: number;
};

/** Servers that were heard before, and those with exchanges, where they are Discord's: in others nothing can have been missed. */
const MARK = `INSERT INTO unheard_acts
  SELECT g.guild_id, a.value, (SELECT l.entry_id FROM heard_acts l WHERE l.guild_id = g.guild_id AND l.act = a.value),
         ifnull(${HEARD}, g.first_ms), :now, 0
  FROM (SELECT guild_id, min(first_ms) AS first_ms FROM (
          SELECT guild_id, created_at_ms AS first_ms FROM exchanges
          WHERE source <> 'http' AND guild_id NOT GLOB '*[^0-9]*' AND ${SHARD} % :count = :index
          UNION ALL SELECT value, NULL FROM json_each(:guilds))
        GROUP BY guild_id) g, json_each(:acts) a
  WHERE ifnull(${HEARD}, g.first_ms) IS NOT NULL
  ON CONFLICT (guild_id, act) DO UPDATE SET begun_at_ms = excluded.begun_at_ms, is_tried = 0`;

const HEARD_ACT = `INSERT INTO heard_acts VALUES (?, ?, CAST(? AS INTEGER)) ON CONFLICT (guild_id, act)
  DO UPDATE SET entry_id = max(entry_id, excluded.entry_id)`;

const row = z.object({
  guild_id: z.string(),
  act: z.number(),
  after_id: z.string().nullable(),
  heard_at_ms: z.number(),
  begun_at_ms: z.number(),
});

/** Marks what is to be read. To be called within `write`, before it is noted that the process hears again. */
export function markUnheardActs(
  log: LogDatabase,
  { index, count }: Listener,
  nowMs: number,
  { guildIds, acts }: Watched,
): void {
  const [guilds, kinds] = [JSON.stringify(guildIds), JSON.stringify(acts)];
  const shard = { ":count": count, ":index": index, ":now": nowMs };
  log.runNamed(MARK, { ...shard, ":guilds": guilds, ":acts": kinds });
}

/** The acts. Every method throws CodedError `disk_full` or `database_failed` when SQLite cannot. */
export class UnheardActsBook {
  readonly #log: LogDatabase;

  constructor(log: LogDatabase) {
    this.#log = log;
  }

  /** What a process has to read. */
  unheard({ index, count }: Listener): readonly UnheardActs[] {
    const sql = `SELECT guild_id, act, CAST(after_id AS TEXT) AS after_id, heard_at_ms, begun_at_ms
      FROM unheard_acts WHERE ${SHARD} % ? = ? ORDER BY guild_id, act`;
    return this.#log.all(sql, count, index).map((found) => {
      const r = row.parse(found);
      const afterId = r.after_id ?? undefined;
      const [heardAtMs, begunAtMs] = [r.heard_at_ms, r.begun_at_ms];
      return { guildId: r.guild_id, act: r.act, afterId, heardAtMs, begunAtMs };
    });
  }

  /** An act was heard as it happened, and is dealt with. */
  heard(guildId: string, act: number, entryId: string): void {
    this.#log.write(() => this.#log.run(HEARD_ACT, guildId, act, entryId));
  }

  /** Every act up to this entry was read, and is dealt with. */
  readUpTo({ guildId, act }: Pick<UnheardActs, "guildId" | "act">, entryId: string): void {
    const sql = `UPDATE unheard_acts SET after_id = CAST(? AS INTEGER) WHERE guild_id = ? AND act = ?`;
    this.#log.write(() => {
      this.#log.run(sql, entryId, guildId, act);
      this.#log.run(HEARD_ACT, guildId, act, entryId);
    });
  }

  /** All that can be known of these acts is known, unless the process was deaf once more since. */
  settled({ guildId, act, begunAtMs }: UnheardActs): void {
    const sql = "DELETE FROM unheard_acts WHERE guild_id = ? AND act = ? AND begun_at_ms = ?";
    this.#log.write(() => this.#log.run(sql, guildId, act, begunAtMs));
  }

  /** They could not be read: nobody need wait for them, and nothing of the server is learnt until they are. */
  couldNotRead({ guildId, act }: Pick<UnheardActs, "guildId" | "act">): void {
    const sql = "UPDATE unheard_acts SET is_tried = 1 WHERE guild_id = ? AND act = ?";
    this.#log.write(() => this.#log.run(sql, guildId, act));
  }
}
