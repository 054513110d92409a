/**
 * Who lets the bot learn from them: the operator's attestation, each server's switch and each person's
 * own word, in `DATA_DIR/people.db`. Every change is kept with its time. It knows nothing of texts.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import { type Database, explainDatabaseError, openDatabase } from "#engine/base/database.ts";
import type { Source } from "./records.ts";

const MIGRATIONS = [
  `CREATE TABLE changes (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     kind TEXT NOT NULL CHECK (kind IN ('person', 'guild')),
     subject TEXT NOT NULL,
     allows INTEGER NOT NULL CHECK (allows IN (0, 1)),
     actor_key TEXT NOT NULL,
     at_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX changes_by_subject ON changes (kind, subject, sequence);
   CREATE TABLE retraining (
     adapter TEXT PRIMARY KEY,
     asked_at_ms INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];

/** What the settings say about learning. */
export type LearningSettings = {
  readonly LEARN_FROM_DISCORD: boolean;
  readonly PLAYGROUND_CONSENT: "given" | "ask";
};

/** Which of the three permissions is missing. */
export type LearningRefusal = "from_discord" | "guild_off" | "no_consent";

/** One change of a switch. */
export type ConsentChange = {
  readonly allows: boolean;
  /** Pseudonym of who changed it. */
  readonly actorKey: string;
  readonly atMs: number;
};

/** The switches. Methods throw CodedError `database_failed`, `disk_full`. */
export class ConsentBook implements Disposable {
  readonly #database: Database;
  readonly #path: string;
  readonly #clock: Clock;

  private constructor(database: Database, path: string, clock: Clock) {
    this.#database = database;
    this.#path = path;
    this.#clock = clock;
  }

  /** @throws CodedError `database_failed`, `disk_full` */
  static open(dataDir: string, clock: Clock = systemClock): ConsentBook {
    const path = bookPath(dataDir);
    return new ConsentBook(openDatabase(path, MIGRATIONS), path, clock);
  }

  /** Like `open`, for those who only read: where there is no book yet, none is made. */
  static openIfThere(dataDir: string, clock: Clock = systemClock): ConsentBook {
    if (existsSync(bookPath(dataDir))) return ConsentBook.open(dataDir, clock);
    return new ConsentBook(openDatabase(":memory:", MIGRATIONS), ":memory:", clock);
  }

  /** A person's word; the last one counts. */
  setPerson(personKey: string, allows: boolean): void {
    this.#change("person", personKey, allows, personKey);
  }

  /** A server's switch. @param actorKey pseudonym of the member who may manage it */
  setGuild(guildId: string, allows: boolean, actorKey: string): void {
    this.#change("guild", guildId, allows, actorKey);
  }

  /** A person's word so far; undefined when they said nothing. */
  person(personKey: string): ConsentChange | undefined {
    return this.#last("person", personKey);
  }

  /** A server's switch; undefined when nobody touched it, which counts as off. */
  guild(guildId: string): ConsentChange | undefined {
    return this.#last("guild", guildId);
  }

  /** Every change of a person's own switch, oldest first. */
  historyOf(personKey: string): readonly ConsentChange[] {
    return this.#all(
      "SELECT * FROM changes WHERE kind = 'person' AND subject = ? ORDER BY sequence",
      personKey,
    ).map(toChange);
  }

  /** Marks adapters to be replaced by ones that have not seen what is gone. */
  requestRetraining(adapters: readonly string[]): void {
    const now = this.#clock.nowMs();
    for (const adapter of adapters) {
      this.#run("INSERT OR IGNORE INTO retraining VALUES (?, ?)", adapter, now);
    }
  }

  /** Adapters that learned from what is gone now and have not been replaced. */
  retraining(): readonly string[] {
    return this.#all("SELECT adapter FROM retraining ORDER BY adapter").map((row) =>
      String(row["adapter"]),
    );
  }

  /** An adapter has been taken out of service. */
  retrainingDone(adapter: string): void {
    this.#run("DELETE FROM retraining WHERE adapter = ?", adapter);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #change(kind: "person" | "guild", subject: string, allows: boolean, actorKey: string): void {
    this.#run(
      "INSERT INTO changes (kind, subject, allows, actor_key, at_ms) VALUES (?, ?, ?, ?, ?)",
      ...[kind, subject, allows ? 1 : 0, actorKey, this.#clock.nowMs()],
    );
  }

  #last(kind: "person" | "guild", subject: string): ConsentChange | undefined {
    const [row] = this.#all(
      "SELECT * FROM changes WHERE kind = ? AND subject = ? ORDER BY sequence DESC LIMIT 1",
      ...[kind, subject],
    );
    return row === undefined ? undefined : toChange(row);
  }

  #run(sql: string, ...values: (string | number)[]): void {
    this.#guard(() => this.#database.prepare(sql).run(...values));
  }

  #all(sql: string, ...values: string[]): Record<string, unknown>[] {
    return this.#guard(() => this.#database.prepare(sql).all(...values));
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }
}

/**
 * What stands against learning from something, in the order in which it is asked.
 * @param personKeys everyone whose words or votes it has
 * @returns undefined when all of them allow it
 */
export function learningRefusal(
  book: Pick<ConsentBook, "person" | "guild">,
  settings: LearningSettings,
  from: {
    readonly source: Source;
    readonly guildId: string | null;
    readonly personKeys: readonly string[];
  },
): LearningRefusal | undefined {
  const { source, guildId, personKeys } = from;
  if (source === "discord") {
    if (!settings.LEARN_FROM_DISCORD) return "from_discord";
    if (guildId !== null && book.guild(guildId)?.allows !== true) return "guild_off";
  }
  const isAssumed = source === "playground" && settings.PLAYGROUND_CONSENT === "given";
  const allows = (personKey: string) => book.person(personKey)?.allows ?? isAssumed;
  return personKeys.every(allows) ? undefined : "no_consent";
}

function bookPath(dataDir: string): string {
  return join(dataDir, "people.db");
}

function toChange(row: Readonly<Record<string, unknown>>): ConsentChange {
  return {
    allows: row["allows"] === 1,
    actorKey: String(row["actor_key"]),
    atMs: Number(row["at_ms"]),
  };
}
