import { createHmac } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "#engine/base/database.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import type { Candidate, Exchange } from "#trainer/feedback/records.ts";
import { MIGRATIONS } from "#trainer/feedback/schema.ts";
import { freshFolder } from "../../deploy/playground/arena.ts";

let folder: string;
beforeEach(() => {
  folder = freshFolder();
});

const exchange = (id: string, people: readonly string[], words: string): Exchange => ({
  id,
  source: "discord",
  guildId: "g",
  channelId: "c",
  threadId: null,
  authorKey: people[0] ?? "nobody",
  participantKeys: people,
  messages: [{ role: "user", content: words }],
  systemPromptSha256: "0".repeat(64),
  createdAtMs: 1,
});
const candidate = (exchangeId: string, text: string): Candidate => ({
  id: `a-${exchangeId}`,
  exchangeId,
  text,
  adapter: null,
  sampling: {},
  finishReason: "stop",
  createdAtMs: 1,
});
const rating = (comment: string, raterKey: string) => ({
  id: `e-${raterKey}`,
  candidateId: "a-x",
  raterKey,
  kind: "rate" as const,
  value: 4,
  comment,
  action: "made" as const,
  atMs: 5,
});

/** Every byte of every file in the data folder. */
function everythingOnDisk(): string {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");
}

test("nothing that people wrote stands in the clear in any file, and all of it can be read again", () => {
  {
    using log = FeedbackLog.open(feedbackPath(folder));
    log.recordExchange(exchange("x", ["ann"], "SECRETQUESTION"), [candidate("x", "SECRETANSWER")]);
    log.record(rating("SECRETCOMMENT", "bob"));
    expect(everythingOnDisk()).not.toContain("SECRET");
  }
  expect(everythingOnDisk()).not.toContain("SECRET");
  using log = FeedbackLog.open(feedbackPath(folder));
  expect(log.exchange("x")?.exchange.messages[0]?.content).toBe("SECRETQUESTION");
  expect(log.candidate("a-x")?.candidate.text).toBe("SECRETANSWER");
  expect(log.standing()[0]?.comment).toBe("SECRETCOMMENT");
});

test("only the file's owner may read the master key", () => {
  using log = FeedbackLog.open(feedbackPath(folder));
  log.recordExchange(exchange("x", ["ann"], "hello"), []);
  expect(statSync(join(folder, "master.key")).mode & 0o777).toBe(0o600);
});

test("with another master key nothing opens, and the message says what to restore", () => {
  {
    using log = FeedbackLog.open(feedbackPath(folder));
    log.recordExchange(exchange("x", ["ann"], "hello"), []);
  }
  writeFileSync(join(folder, "master.key"), "ab".repeat(32));
  using log = FeedbackLog.open(feedbackPath(folder));
  expect(() => [...log.exchanges()]).toThrow(/master key does not fit.*keys\.db/);
});

test("the master key can lie elsewhere", () => {
  const elsewhere = join(freshFolder(), "the.key");
  const settings = { DATA_DIR: folder, MASTER_KEY_FILE: elsewhere };
  using log = FeedbackLog.openIn(settings);
  log.recordExchange(exchange("x", ["ann"], "hello"), []);
  expect(readdirSync(folder)).not.toContain("master.key");
  expect(statSync(elsewhere).mode & 0o777).toBe(0o600);
  expect(log.exchange("x")?.exchange.messages[0]?.content).toBe("hello");
});

describe("forgetting a person", () => {
  test("erases each exchange that holds their words, voids their votes, and leaves others' alone", () => {
    using log = FeedbackLog.open(feedbackPath(folder));
    log.recordExchange(exchange("x", ["ann"], "by ann"), [candidate("x", "to ann")]);
    log.recordExchange(exchange("y", ["bob", "ann"], "by both"), [candidate("y", "to both")]);
    log.recordExchange(exchange("z", ["bob"], "by bob"), [candidate("z", "to bob")]);
    log.record(rating("ann's comment", "ann"));
    log.record(rating("bob's comment", "bob"));
    expect(log.forgetPerson("ann")).toEqual(["x", "y"]);
    expect([...log.exchanges()].map(({ deleted }) => deleted)).toEqual([true, true, false]);
    expect(log.candidate("a-y")?.candidate.text).toBe("");
    expect(log.exchange("z")?.exchange.messages[0]?.content).toBe("by bob");
    expect(log.standing().map(({ comment }) => comment)).toEqual(["bob's comment"]);
    expect(log.eventsBy("ann").map(({ comment }) => comment)).toEqual([undefined]);
  });

  test("is final in a backup of the log, too: without the key its text stays closed", () => {
    const backup = freshFolder();
    {
      using log = FeedbackLog.open(feedbackPath(folder));
      log.recordExchange(exchange("y", ["bob", "ann"], "by both"), [candidate("y", "to both")]);
      log.recordExchange(exchange("z", ["bob"], "by bob"), []);
    }
    const before = readFileSync(feedbackPath(folder));
    {
      using log = FeedbackLog.open(feedbackPath(folder));
      log.forgetPerson("ann");
    }
    writeFileSync(feedbackPath(backup), before);
    using restored = FeedbackLog.open(
      feedbackPath(backup),
      undefined,
      KeyRing.open({ DATA_DIR: folder }),
    );
    const [both, bob] = [...restored.exchanges()];
    expect(both).toMatchObject({ deleted: true, exchange: { messages: [] } });
    expect(restored.candidate("a-y")?.candidate.text).toBe("");
    expect(bob?.exchange.messages[0]?.content).toBe("by bob");
  });

  test("lets them begin anew, with a key of its own", () => {
    using log = FeedbackLog.open(feedbackPath(folder));
    log.recordExchange(exchange("x", ["ann"], "old"), []);
    log.forgetPerson("ann");
    log.recordExchange(exchange("w", ["ann"], "new"), []);
    expect(log.exchange("w")?.exchange.messages[0]?.content).toBe("new");
    expect(log.exchange("x")?.deleted).toBe(true);
  });
});

test("sealed text opens for what it belongs to and nowhere else; a changed byte is noticed", () => {
  using keys = KeyRing.open({ DATA_DIR: folder });
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }),
      (text, people) => {
        const sealed = keys.seal(people, text, "here");
        expect(keys.open(sealed, "here")).toBe(text);
        expect(() => keys.open(sealed, "there")).toThrow();
        const at = sealed.lastIndexOf(".") + 5;
        const changed = `${sealed.slice(0, at)}${sealed[at] === "A" ? "B" : "A"}${sealed.slice(at + 1)}`;
        expect(() => keys.open(changed, "here")).toThrow();

        const bytes = keys.sealBytes(people, Buffer.from(text), "here");
        expect(Buffer.from(keys.openBytes(bytes, "here") ?? []).toString()).toBe(
          Buffer.from(text).toString(),
        );
        expect(() => keys.openBytes(bytes, "there")).toThrow();
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        expect(() => keys.openBytes(bytes, "here")).toThrow();
      },
    ),
    { numRuns: 30 },
  );
});

test("a log from before the encryption is sealed when it is opened, and no clear text is left in its file", () => {
  const path = feedbackPath(folder);
  const old = openDatabase(path, MIGRATIONS.slice(0, 1));
  old.exec(`
    INSERT INTO exchanges (id, source, channel_id, author_key, messages, system_prompt_sha256, created_at_ms)
      VALUES ('x', 'playground', 'c', 'ann', '[{"role":"user","content":"OLDQUESTION"}]', '', 1);
    INSERT INTO candidates (id, exchange_id, text, sampling, finish_reason, created_at_ms)
      VALUES ('a', 'x', 'OLDANSWER', '{}', 'stop', 1);
    INSERT INTO events (id, candidate_id, rater_key, kind, value, comment, action, at_ms)
      VALUES ('e', 'a', 'bob', 'rate', 4, 'OLDCOMMENT', 'made', 1);`);
  old.close();
  expect(everythingOnDisk()).toContain("OLDQUESTION");
  {
    using log = FeedbackLog.open(path);
    expect(log.exchange("x")?.exchange.messages[0]?.content).toBe("OLDQUESTION");
    expect(log.candidate("a")?.candidate.text).toBe("OLDANSWER");
    expect(log.standing()[0]?.comment).toBe("OLDCOMMENT");
    expect(log.exchangesOf("ann")).toEqual(["x"]);
  }
  expect(everythingOnDisk()).not.toMatch(/OLD(QUESTION|ANSWER|COMMENT)/);
  const raw = new DatabaseSync(path);
  onTestFinished(() => raw.close());
  expect(() => raw.exec("UPDATE events SET value = 1")).toThrow("append-only");
});

test("a keys.db that is gone closes everything for good", () => {
  {
    using log = FeedbackLog.open(feedbackPath(folder));
    log.recordExchange(exchange("x", ["ann"], "hello"), []);
  }
  for (const name of readdirSync(folder))
    if (name.startsWith("keys.db")) rmSync(join(folder, name));
  using log = FeedbackLog.open(feedbackPath(folder));
  expect([...log.exchanges()]).toMatchObject([{ deleted: true }]);
});

describe("a deleted message takes every exchange with it whose context held it", () => {
  const later = { ...exchange("y", ["bob"], "about it"), messageIds: ["m1", "m2"] };

  test.each(["before", "after"])("also when the deletion comes %s the exchange", (when) => {
    using log = FeedbackLog.open(":memory:");
    if (when === "before") log.recordDeletion("m1");
    log.recordExchange(later, [candidate("y", "answer")]);
    if (when === "after") log.recordDeletion("m1");
    expect(log.exchange("y")).toMatchObject({ deleted: true, exchange: { messages: [] } });
    expect(log.candidate("a-y")?.candidate.text).toBe("");
  });

  test("and no other", () => {
    using log = FeedbackLog.open(":memory:");
    log.recordExchange(later, []);
    log.recordDeletion("m3");
    expect(log.exchange("y")?.deleted).toBe(false);
  });
});

test("digests are the same for as long as the master key is, and another installation's for nothing", () => {
  const digest = (dataDir: string, ...parts: string[]) => {
    using ring = KeyRing.open({ DATA_DIR: dataDir });
    return ring.digest(...parts).toString("hex");
  };
  const own = digest(folder, "a guess");
  expect(digest(folder, "a ", "guess")).toBe(own);
  expect(digest(folder, "another guess")).not.toBe(own);
  expect(digest(freshFolder(), "a guess")).not.toBe(own);
  const master = Buffer.from(readFileSync(join(folder, "master.key"), "utf8").trim(), "hex");
  // Nor is it one under the key that wraps people's keys.
  expect(createHmac("sha256", master).update("a guess").digest("hex")).not.toBe(own);
});
