import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openSqliteStore } from "#bot/storage/sqlite-store.ts";
import { makeBackup, restoreBackup } from "#deploy/cli/backup.ts";
import { takeLock } from "#engine/base/exclusive-lock.ts";
import { ConsentBook } from "#trainer/feedback/consent.ts";
import { adaptersThatLearnedFrom } from "#trainer/feedback/lessons.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { unfinishedRun } from "#trainer/nightly/run-folder.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 3);
const DAY_MS = 86_400_000;

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "backup-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function record(log: FeedbackLog, id: string, authorKey: string): void {
  const [createdAtMs, adapter, systemPromptSha256] = [NOW_MS, null, "0".repeat(64)];
  log.recordExchange(
    {
      ...{ id, source: "playground", guildId: "1", channelId: "2", threadId: null, authorKey },
      ...{
        systemPromptSha256,
        createdAtMs,
        messages: [{ role: "user", content: `said in ${id}` }],
      },
    },
    [
      {
        ...{ id: `${id}-answer`, exchangeId: id, text: `answer to ${id}`, adapter, createdAtMs },
        ...{ sampling: { temperature: 0, seed: 1 }, finishReason: "stop" },
      },
    ],
  );
}

/** A data folder in use: its databases are open and have a write-ahead log. */
function inUse(dataDir: string) {
  const log = FeedbackLog.openIn({ DATA_DIR: dataDir });
  const consent = ConsentBook.open(dataDir);
  const store = openSqliteStore(join(dataDir, "bot.db"));
  let isOpen = true;
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    log.close();
    consent[Symbol.dispose]();
    store[Symbol.dispose]();
  };
  onTestFinished(close);
  record(log, "one", "mira");
  record(log, "two", "aiko");
  consent.setPerson("mira", true);
  return { log, store, close };
}

const said = (dataDir: string, id: string) => {
  using log = FeedbackLog.openIn({ DATA_DIR: dataDir });
  return log.exchange(id)?.exchange.messages[0]?.content;
};

describe("zephyr backup and restore", () => {
  test("bring back, elsewhere, all that was there when it was made, and nothing of later", async () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    const { log, store } = inUse(dataDir);
    await store.set("guild-settings::1", '{"value":1}');
    const { folder, manifest } = makeBackup(
      { DATA_DIR: dataDir },
      into,
      { withKeys: true },
      NOW_MS,
    );
    expect(Object.keys(manifest.files)).toEqual(
      expect.arrayContaining(["feedback.db", "keys.db", "master.key", "people.db", "bot.db"]),
    );
    record(log, "later", "mira");
    const elsewhere = join(freshFolder(), "data");
    expect(restoreBackup({ DATA_DIR: elsewhere }, folder, NOW_MS).formerFolder).toBeUndefined();
    expect(said(elsewhere, "one")).toBe("said in one");
    expect(said(elsewhere, "two")).toBe("said in two");
    expect(said(elsewhere, "later")).toBeUndefined();
    using people = ConsentBook.open(elsewhere);
    expect(people.person("mira")?.allows).toBe(true);
    using restored = openSqliteStore(join(elsewhere, "bot.db"));
    expect(await restored.get("guild-settings::1")).toBe('{"value":1}');
  });

  test("while others write copies one state of each database, undamaged", () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    const { log } = inUse(dataDir);
    for (let n = 0; n < 30; n++) {
      record(log, `during ${n}`, "mira");
      if (n % 10 !== 0) continue;
      const at = NOW_MS + n;
      const { folder } = makeBackup({ DATA_DIR: dataDir }, into, { withKeys: true }, at);
      const elsewhere = join(freshFolder(), "data");
      restoreBackup({ DATA_DIR: elsewhere }, folder, NOW_MS);
      using copy = FeedbackLog.openIn({ DATA_DIR: elsewhere });
      expect(copy.counts().exchanges).toBe(3 + n);
    }
  });

  test("without keys hold words that open only beside the keys: who was forgotten since stays forgotten", () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    const { log, close } = inUse(dataDir);
    const { folder, manifest } = makeBackup(
      { DATA_DIR: dataDir },
      into,
      { withKeys: false },
      NOW_MS,
    );
    expect(manifest.hasKeys).toBe(false);
    expect(readdirSync(folder)).not.toContain("keys.db");
    expect(readdirSync(folder)).not.toContain("master.key");
    log.forgetPerson("mira");
    close();
    const { formerFolder } = restoreBackup({ DATA_DIR: dataDir }, folder, NOW_MS);
    expect(existsSync(join(formerFolder ?? "", "feedback.db"))).toBe(true);
    expect(said(dataDir, "two")).toBe("said in two");
    expect(said(dataDir, "one")).toBeUndefined();
  });
});

describe("backups", () => {
  test("older than the days to keep are removed; what is no backup is left alone", () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    inUse(dataDir);
    const make = (atMs: number, keepDays?: number) =>
      makeBackup({ DATA_DIR: dataDir }, into, { withKeys: true, keepDays }, atMs);
    const old = make(NOW_MS - 8 * DAY_MS);
    const recent = make(NOW_MS - 6 * DAY_MS);
    writeFileSync(join(into, "zephyr-notes.txt"), "mine");
    const { folder, removed } = make(NOW_MS, 7);
    expect(removed).toEqual([old.folder]);
    expect(readdirSync(into).toSorted()).toEqual(
      [
        ...[recent.folder, folder].map((path) => path.slice(into.length + 1)),
        "zephyr-notes.txt",
      ].toSorted(),
    );
  });

  test("whose own file is damaged are named, and keep no older one from being removed", () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    inUse(dataDir);
    const make = (atMs: number, keepDays?: number) =>
      makeBackup({ DATA_DIR: dataDir }, into, { withKeys: true, keepDays }, atMs);
    const damaged = make(NOW_MS - 9 * DAY_MS);
    const old = make(NOW_MS - 8 * DAY_MS);
    writeFileSync(join(damaged.folder, "backup.json"), "{");
    const { folder, removed, unreadable } = make(NOW_MS, 7);
    expect(existsSync(folder)).toBe(true);
    expect(removed).toEqual([old.folder]);
    expect(unreadable).toEqual([damaged.folder]);
  });

  test("that are damaged, incomplete or none are refused, and the data folder stays as it is", () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    inUse(dataDir);
    const { folder } = makeBackup({ DATA_DIR: dataDir }, into, { withKeys: true }, NOW_MS);
    const bytes = readFileSync(join(folder, "feedback.db"));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
    writeFileSync(join(folder, "feedback.db"), bytes);
    const restore = (from: string) => () => restoreBackup({ DATA_DIR: dataDir }, from, NOW_MS);
    expect(restore(folder)).toThrow(/feedback\.db .* damaged/);
    rmSync(join(folder, "feedback.db"));
    expect(restore(folder)).toThrow(/feedback\.db .* missing/);
    expect(restore(into)).toThrow(/is no backup/);
    expect(said(dataDir, "one")).toBe("said in one");
  });

  test("are not restored over a running zephyr, nor made inside the data folder", () => {
    const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
    inUse(dataDir);
    const { folder } = makeBackup({ DATA_DIR: dataDir }, into, { withKeys: true }, NOW_MS);
    const lock = takeLock(join(dataDir, "supervisor.lock"));
    if (!lock.held) throw new Error("the lock is free");
    expect(() => restoreBackup({ DATA_DIR: dataDir }, folder, NOW_MS)).toThrow(/Stop it before/);
    lock[Symbol.dispose]();
    const inside = join(dataDir, "backups");
    expect(() => makeBackup({ DATA_DIR: dataDir }, inside, { withKeys: true }, NOW_MS)).toThrow(
      /in the data folder itself/,
    );
  });
});

test("a backup keeps which adapters learned from whom, and no other file of a run", () => {
  const [dataDir, into] = [join(freshFolder(), "data"), freshFolder()];
  inUse(dataDir);
  const run = join(dataDir, "runs", "2026-11-24-030000");
  for (const path of [run, join(dataDir, "adapters", "2026-11-24-030000")]) {
    mkdirSync(path, { recursive: true });
  }
  const evidence = { id: "p", side: "train", exchangeIds: ["one"], raterKeys: ["aiko"] };
  writeFileSync(join(run, "evidence.jsonl"), `${JSON.stringify(evidence)}\n`);
  for (const name of ["run.json", "pairs.jsonl", "examples.db"])
    writeFileSync(join(run, name), "{}");
  writeFileSync(join(dataDir, "adapters", "2026-11-24-030000", "manifest.json"), "{}");
  const { folder } = makeBackup({ DATA_DIR: dataDir }, into, { withKeys: true }, NOW_MS);
  const elsewhere = join(freshFolder(), "data");
  restoreBackup({ DATA_DIR: elsewhere }, folder, NOW_MS);
  const gone = { exchangeIds: ["one"] };
  expect(adaptersThatLearnedFrom(elsewhere, gone)).toEqual(["2026-11-24-030000"]);
  expect(readdirSync(join(elsewhere, "runs", "2026-11-24-030000"))).toEqual(["evidence.jsonl"]);
  // A run that the backup cut short is none there.
  expect(unfinishedRun(elsewhere)).toBeUndefined();
});
