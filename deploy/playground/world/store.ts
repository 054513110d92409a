/** The local Discord's memory in SQLite, so that a restart keeps the chat. Decides nothing. */
import { type Database, inTransaction, openDatabase } from "#engine/base/database.ts";
import {
  type AuditLogRecord,
  type ChannelRecord,
  type CommandRecord,
  type MessageRecord,
  RECORDS,
  type ReactionTally,
  type UserRecord,
} from "./records.ts";

const MIGRATIONS = [
  `CREATE TABLE users (id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;
   CREATE TABLE channels (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
   CREATE TABLE messages (
     id INTEGER PRIMARY KEY, channel_id TEXT NOT NULL, visible_to TEXT, body TEXT NOT NULL) STRICT;
   CREATE INDEX messages_of_channel ON messages (channel_id, id);
   CREATE TABLE reactions (
     position INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, emoji TEXT NOT NULL,
     user_id TEXT NOT NULL, UNIQUE (message_id, emoji, user_id)) STRICT;
   CREATE TABLE commands (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
   CREATE TABLE files (
     id TEXT PRIMARY KEY, name TEXT NOT NULL, content_type TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;`,
  "CREATE TABLE audit_log (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;",
];

/** Which messages of a channel to list; ids as Discord's snowflakes. */
export type MessageRange = {
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
};

/** Reads and writes records; every write is on disk when the call returns. */
export class Store implements Disposable {
  readonly #db: Database;
  /** Compiled once each: every event of the chat runs some of them. */
  readonly #statements = new Map<string, Statement>();

  /** @param path of the database file, or ":memory:" */
  constructor(path: string) {
    this.#db = openDatabase(path, MIGRATIONS);
  }

  /** Runs `work` in one transaction. Not to be nested. */
  atomically<T>(work: () => T): T {
    return this.#db.isTransaction ? work() : inTransaction(this.#db, work);
  }

  saveUser(user: UserRecord): void {
    this.#prepare(
      "INSERT INTO users VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET username = excluded.username, body = excluded.body",
    ).run(user.id, user.username, JSON.stringify(user));
  }

  user(id: string): UserRecord | undefined {
    return this.#one("SELECT body FROM users WHERE id = ?", RECORDS.user, id);
  }

  userNamed(username: string): UserRecord | undefined {
    return this.#one("SELECT body FROM users WHERE username = ?", RECORDS.user, username);
  }

  users(): UserRecord[] {
    return this.#all("SELECT body FROM users ORDER BY length(id), id", RECORDS.user);
  }

  saveChannel(channel: ChannelRecord): void {
    this.#prepare(
      "INSERT INTO channels VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    ).run(channel.id, JSON.stringify(channel));
  }

  channel(id: string): ChannelRecord | undefined {
    return this.#one("SELECT body FROM channels WHERE id = ?", RECORDS.channel, id);
  }

  channels(): ChannelRecord[] {
    return this.#all("SELECT body FROM channels ORDER BY length(id), id", RECORDS.channel);
  }

  deleteChannel(id: string): void {
    this.#prepare(
      "DELETE FROM reactions WHERE message_id IN (SELECT CAST(id AS TEXT) FROM messages WHERE channel_id = ?)",
    ).run(id);
    this.#prepare("DELETE FROM messages WHERE channel_id = ?").run(id);
    this.#prepare("DELETE FROM channels WHERE id = ?").run(id);
  }

  saveMessage(message: MessageRecord): void {
    this.#prepare(
      "INSERT INTO messages VALUES (CAST(? AS INTEGER), ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    ).run(message.id, message.channelId, message.visibleTo, JSON.stringify(message));
  }

  message(id: string): MessageRecord | undefined {
    return this.#one(
      "SELECT body FROM messages WHERE id = CAST(? AS INTEGER)",
      RECORDS.message,
      id,
    );
  }

  /** Messages that `viewerId` may see, newest first (oldest first when `after` is given). */
  messages(channelId: string, viewerId: string, range: MessageRange): MessageRecord[] {
    const bound = range.after ?? range.before;
    const comparison = range.after === undefined ? "<" : ">";
    const order = range.after === undefined ? "DESC" : "ASC";
    const where = bound === undefined ? "" : `AND id ${comparison} CAST(? AS INTEGER)`;
    return this.#all(
      `SELECT body FROM messages WHERE channel_id = ? AND (visible_to IS NULL OR visible_to = ?) ${where}
       ORDER BY id ${order} LIMIT ?`,
      RECORDS.message,
      channelId,
      viewerId,
      ...(bound === undefined ? [] : [bound]),
      range.limit,
    );
  }

  /** The newest messages, whoever may see them, newest first. */
  recentMessages(channelId: string, limit: number): MessageRecord[] {
    return this.#all(
      "SELECT body FROM messages WHERE channel_id = ? ORDER BY id DESC LIMIT ?",
      RECORDS.message,
      channelId,
      limit,
    );
  }

  deleteMessage(id: string): void {
    this.#prepare("DELETE FROM reactions WHERE message_id = ?").run(id);
    this.#prepare("DELETE FROM messages WHERE id = CAST(? AS INTEGER)").run(id);
  }

  /** @returns whether it was not there before */
  addReaction(messageId: string, emoji: string, userId: string): boolean {
    return (
      this.#prepare(
        "INSERT OR IGNORE INTO reactions (message_id, emoji, user_id) VALUES (?, ?, ?)",
      ).run(messageId, emoji, userId).changes > 0
    );
  }

  /** @returns whether it was there */
  removeReaction(messageId: string, emoji: string, userId: string): boolean {
    return (
      this.#prepare("DELETE FROM reactions WHERE message_id = ? AND emoji = ? AND user_id = ?").run(
        messageId,
        emoji,
        userId,
      ).changes > 0
    );
  }

  /** In the order in which each emoji was first placed. */
  reactions(messageId: string): ReactionTally[] {
    const tallies = new Map<string, string[]>();
    const rows = this.#prepare(
      "SELECT emoji, user_id FROM reactions WHERE message_id = ? ORDER BY position",
    ).all(messageId);
    for (const row of rows) {
      const emoji = String(row["emoji"]);
      const userIds = tallies.get(emoji) ?? [];
      userIds.push(String(row["user_id"]));
      tallies.set(emoji, userIds);
    }
    return [...tallies].map(([emoji, userIds]) => ({ emoji, userIds }));
  }

  commands(): CommandRecord[] {
    return this.#all("SELECT body FROM commands ORDER BY length(id), id", RECORDS.command);
  }

  saveCommand(command: CommandRecord): void {
    this.#prepare(
      "INSERT INTO commands VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    ).run(command.id, JSON.stringify(command));
  }

  deleteCommand(id: string): void {
    this.#prepare("DELETE FROM commands WHERE id = ?").run(id);
  }

  addToAuditLog(entry: AuditLogRecord): void {
    this.#prepare("INSERT INTO audit_log VALUES (CAST(? AS INTEGER), ?)").run(
      entry.id,
      JSON.stringify(entry),
    );
  }

  /** Oldest first. */
  auditLog(): AuditLogRecord[] {
    return this.#all("SELECT body FROM audit_log ORDER BY id", RECORDS.auditLog);
  }

  saveFile(id: string, file: { name: string; contentType: string; bytes: Uint8Array }): void {
    this.#prepare("INSERT INTO files VALUES (?, ?, ?, ?)").run(
      id,
      file.name,
      file.contentType,
      file.bytes,
    );
  }

  file(id: string): { name: string; contentType: string; bytes: Uint8Array } | undefined {
    const row = this.#prepare("SELECT name, content_type, bytes FROM files WHERE id = ?").get(id);
    if (row === undefined || !(row["bytes"] instanceof Uint8Array)) return undefined;
    return {
      name: String(row["name"]),
      contentType: String(row["content_type"]),
      bytes: row["bytes"],
    };
  }

  /** The greatest id in use, 0 when there is none. */
  lastId(): bigint {
    const row = this.#prepare(
      `SELECT CAST(max(id) AS TEXT) AS last FROM (
           SELECT max(id) AS id FROM messages UNION ALL
           SELECT max(CAST(id AS INTEGER)) FROM channels UNION ALL
           SELECT max(CAST(id AS INTEGER)) FROM users UNION ALL
           SELECT max(CAST(id AS INTEGER)) FROM files UNION ALL
           SELECT max(id) FROM audit_log UNION ALL
           SELECT max(CAST(json_extract(body, '$.version') AS INTEGER)) FROM commands)`,
    ).get();
    return BigInt(String(row?.["last"] ?? "0"));
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #one<T>(sql: string, schema: Parser<T>, ...values: string[]): T | undefined {
    const row = this.#prepare(sql).get(...values);
    return row === undefined ? undefined : schema.parse(JSON.parse(String(row["body"])));
  }

  #all<T>(sql: string, schema: Parser<T>, ...values: (string | number)[]): T[] {
    const rows = this.#prepare(sql).all(...values);
    return rows.map((row) => schema.parse(JSON.parse(String(row["body"]))));
  }
}

type Statement = ReturnType<Database["prepare"]>;
type Parser<T> = { parse(value: unknown): T };
