/**
 * Numbered cases of a server's moderation, in `DATA_DIR/cases.db`. What people wrote is in none of them:
 * a case holds a hash of it. Notes and reasons are sealed for the person whom the case is about.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "#engine/base/clock.ts";
import {
  type Database,
  explainDatabaseError,
  inTransaction,
  openDatabase,
} from "#engine/base/database.ts";
import type { KeyRing } from "#trainer/feedback/key-ring.ts";

const MIGRATIONS = [
  `CREATE TABLE cases (
     guild_id TEXT NOT NULL,
     number INTEGER NOT NULL,
     source_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     subject_key TEXT NOT NULL,
     actor_key TEXT NOT NULL,
     reason TEXT NOT NULL,
     note TEXT NOT NULL DEFAULT '',
     evidence_sha256 TEXT NOT NULL,
     place TEXT NOT NULL,
     state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'upheld', 'overturned')),
     is_dry_run INTEGER NOT NULL,
     log_message_id TEXT,
     at_ms INTEGER NOT NULL,
     PRIMARY KEY (guild_id, number),
     UNIQUE (guild_id, source_id, kind)
   ) STRICT;`,
];

/** What a case is about; in words: the message `case.kind.` and this. */
const CASE_KINDS = [
  ...(["refused", "output_rule", "automod", "self_harm", "report"] as const),
  ...(["wrongly_refused", "should_have_refused", "ban", "timeout", "left"] as const),
  "instructions",
] as const;

/** One of the kinds. */
export type CaseKind = (typeof CASE_KINDS)[number];

/** What opens a case. */
export type NewCase = {
  readonly guildId: string;
  readonly kind: CaseKind;
  /** What it came from (a message, an interaction): one case a kind, however often it arrives. */
  readonly sourceId: string;
  /** Pseudonym of whom it is about. */
  readonly subjectKey: string;
  /** Pseudonym of who acted; `bot` for the bot itself, `automod` for Discord. */
  readonly actorKey: string;
  readonly reason: string;
  /** What was said; only its hash is kept. */
  readonly evidence: string;
  /** A link to where it happened, or "". */
  readonly place: string;
  readonly isDryRun: boolean;
};

/** A case as it stands. */
export type Case = Omit<NewCase, "evidence"> & {
  readonly number: number;
  readonly note: string;
  readonly evidenceSha256: string;
  readonly state: "open" | "upheld" | "overturned";
  readonly logMessageId: string | undefined;
  readonly atMs: number;
};

/** All cases. Methods throw CodedError `database_failed`, `disk_full`. */
export class CaseBook implements Disposable {
  readonly #database: Database;
  readonly #path: string;
  readonly #keys: KeyRing;
  readonly #clock: Clock;

  private constructor(database: Database, path: string, keys: KeyRing, clock: Clock) {
    this.#database = database;
    this.#path = path;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** @throws CodedError `database_failed`, `disk_full` */
  static open(dataDir: string, keys: KeyRing, clock: Clock): CaseBook {
    const path = join(dataDir, "cases.db");
    return new CaseBook(openDatabase(path, MIGRATIONS), path, keys, clock);
  }

  /** Opens a case under the server's next number. @returns undefined when there is one from the same source */
  open(given: NewCase): Case | undefined {
    const { guildId, kind, sourceId, subjectKey, actorKey, place, isDryRun } = given;
    return this.#guard(() =>
      inTransaction(this.#database, () => {
        const number = 1 + this.#lastNumber(guildId);
        const reason = this.#seal(subjectKey, given.reason, guildId, number, "reason");
        const evidence = createHash("sha256").update(given.evidence).digest("hex");
        const { changes } = this.#database
          .prepare(
            `INSERT OR IGNORE INTO cases (guild_id, number, source_id, kind, subject_key, actor_key, reason,
               evidence_sha256, place, is_dry_run, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          )
          .run(
            ...[guildId, number, sourceId, kind, subjectKey, actorKey, reason, evidence, place],
            ...[isDryRun ? 1 : 0, this.#clock.nowMs()],
          );
        return changes === 0 ? undefined : this.find(guildId, number);
      }),
    );
  }

  /** Whether there is a case of a kind from any of these sources. */
  has(guildId: string, kind: CaseKind, sourceIds: readonly string[]): boolean {
    const sql = "SELECT 1 FROM cases WHERE guild_id = ? AND source_id = ? AND kind = ?";
    return this.#guard(() => {
      const one = this.#database.prepare(sql);
      return sourceIds.some((sourceId) => one.get(guildId, sourceId, kind) !== undefined);
    });
  }

  /** A case by its number. */
  find(guildId: string, number: number): Case | undefined {
    const row = this.#guard(() =>
      this.#database
        .prepare("SELECT * FROM cases WHERE guild_id = ? AND number = ?")
        .get(guildId, number),
    );
    return row === undefined ? undefined : this.#toCase(row);
  }

  /** The newest case of a kind about what stands in a place. */
  at(guildId: string, kind: CaseKind, place: string): Case | undefined {
    const row = this.#guard(() =>
      this.#database
        .prepare(
          "SELECT * FROM cases WHERE guild_id = ? AND kind = ? AND place = ? ORDER BY number DESC LIMIT 1",
        )
        .get(guildId, kind, place),
    );
    return row === undefined ? undefined : this.#toCase(row);
  }

  /** A server's newest cases, newest first. */
  newest(guildId: string, limit: number): readonly Case[] {
    return this.#guard(() =>
      this.#database
        .prepare("SELECT * FROM cases WHERE guild_id = ? ORDER BY number DESC LIMIT ?")
        .all(guildId, limit),
    ).map((row) => this.#toCase(row));
  }

  /** Replaces a case's note. */
  setNote(guildId: string, number: number, note: string): Case | undefined {
    const found = this.find(guildId, number);
    if (found === undefined) return undefined;
    const sealed = this.#seal(found.subjectKey, note, guildId, number, "note");
    this.#set(guildId, number, "note", sealed);
    return this.find(guildId, number);
  }

  /** A moderator's decision. */
  decide(guildId: string, number: number, state: Case["state"]): Case | undefined {
    this.#set(guildId, number, "state", state);
    return this.find(guildId, number);
  }

  /** Remembers the message of the mod-log that shows a case. */
  setLogMessage(guildId: string, number: number, messageId: string): void {
    this.#set(guildId, number, "log_message_id", messageId);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #set(
    guildId: string,
    number: number,
    column: "note" | "state" | "log_message_id",
    value: string,
  ): void {
    this.#guard(() =>
      this.#database
        .prepare(`UPDATE cases SET ${column} = ? WHERE guild_id = ? AND number = ?`)
        .run(value, guildId, number),
    );
  }

  #lastNumber(guildId: string): number {
    const row = this.#database
      .prepare("SELECT max(number) AS last FROM cases WHERE guild_id = ?")
      .get(guildId);
    return Number(row?.["last"] ?? 0);
  }

  #seal(subject: string, text: string, guildId: string, number: number, field: string): string {
    return text === ""
      ? ""
      : this.#keys.seal([subject], text, `case ${guildId} ${number} ${field}`);
  }

  #toCase(row: Readonly<Record<string, unknown>>): Case {
    const text = (column: string) => String(row[column]);
    const [guildId, number] = [text("guild_id"), Number(row["number"])];
    const opened = (field: "reason" | "note") => {
      if (text(field) === "") return "";
      // Whoever wanted to be forgotten leaves a case without words.
      return this.#keys.open(text(field), `case ${guildId} ${number} ${field}`) ?? "(erased)";
    };
    const [kind, state] = [text("kind"), text("state")];
    return {
      guildId,
      number,
      sourceId: text("source_id"),
      kind: isKind(kind) ? kind : "refused",
      subjectKey: text("subject_key"),
      actorKey: text("actor_key"),
      reason: opened("reason"),
      note: opened("note"),
      evidenceSha256: text("evidence_sha256"),
      place: text("place"),
      state: state === "upheld" || state === "overturned" ? state : "open",
      isDryRun: row["is_dry_run"] === 1,
      logMessageId: row["log_message_id"] === null ? undefined : text("log_message_id"),
      atMs: Number(row["at_ms"]),
    };
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explainDatabaseError(error, this.#path);
    }
  }
}

function isKind(text: string): text is CaseKind {
  return CASE_KINDS.some((kind) => kind === text);
}
