import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inTransaction, openDatabase } from "#engine/base/database.ts";
import { isCoded } from "#engine/base/errors.ts";

function temporaryPath(): string {
  return join(mkdtempSync(join(tmpdir(), "database-")), "folder", "test.db");
}

test("a database is durable: WAL and synchronous=FULL", () => {
  const database = openDatabase(temporaryPath(), ["CREATE TABLE t (x)"]);
  expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  expect(database.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
  database.close();
});

test("migrations run once, and only those not seen yet", () => {
  const path = temporaryPath();
  openDatabase(path, ["CREATE TABLE t (x)"]).close();
  const database = openDatabase(path, ["CREATE TABLE t (x)", "ALTER TABLE t ADD COLUMN y"]);
  database.exec("INSERT INTO t (x, y) VALUES (1, 2)");
  expect(database.prepare("SELECT x, y FROM t").all()).toEqual([{ x: 1, y: 2 }]);
  database.close();
});

test("a database of a newer release is refused and left as it is", () => {
  const path = temporaryPath();
  const [first, second] = ["CREATE TABLE t (x)", "ALTER TABLE t ADD COLUMN y"];
  openDatabase(path, [first, second]).close();
  try {
    openDatabase(path, [first]);
    expect.unreachable();
  } catch (error) {
    expect(isCoded(error, "data_newer")).toBe(true);
    expect(String(error)).toContain("version 2, this release knows versions up to 1");
  }
  openDatabase(path, [first, second]).close();
});

test("a transaction that throws leaves nothing behind", () => {
  const database = openDatabase(":memory:", ["CREATE TABLE t (x)"]);
  expect(() =>
    inTransaction(database, () => {
      database.exec("INSERT INTO t VALUES (1)");
      throw new Error("changed my mind");
    }),
  ).toThrow("changed my mind");
  expect(database.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 0 });
});

test("a damaged file is refused with what to do", () => {
  const path = join(mkdtempSync(join(tmpdir(), "database-")), "test.db");
  writeFileSync(path, "this is not a database, whatever its name says".repeat(40));
  try {
    openDatabase(path, []);
    expect.unreachable();
  } catch (error) {
    expect(isCoded(error, "database_failed")).toBe(true);
    expect(String(error)).toContain("restore a backup");
  }
});
