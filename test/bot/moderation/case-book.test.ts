import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { CaseBook, type NewCase } from "#bot/moderation/case-book.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { freshFolder, HandClock } from "../../deploy/playground/arena.ts";

let folder: string;
let keys: KeyRing;
let book: CaseBook;
beforeEach(() => {
  folder = freshFolder();
  keys = KeyRing.open({ DATA_DIR: folder });
  book = CaseBook.open(folder, keys, new HandClock());
});

const given = (changes: Partial<NewCase> = {}): NewCase => ({
  guildId: "g",
  kind: "refused",
  sourceId: "m1",
  subjectKey: "ann",
  actorKey: "bot",
  reason: "It asks for something illegal.",
  evidence: "SECRETWORDS",
  place: "https://discord.com/channels/g/c/m1",
  isDryRun: false,
  ...changes,
});

test("cases are numbered from one in each server, and one source makes one case of a kind", () => {
  expect(book.open(given())?.number).toBe(1);
  expect(book.open(given())).toBeUndefined();
  expect(book.open(given({ kind: "report" }))?.number).toBe(2);
  expect(book.open(given({ sourceId: "m2" }))?.number).toBe(3);
  expect(book.open(given({ guildId: "h" }))?.number).toBe(1);
  expect(book.newest("g", 2).map(({ number }) => number)).toEqual([3, 2]);
});

test("a case is found by any of the sources that it may have come from, in its server and of its kind", () => {
  book.open(given({ kind: "ban", sourceId: "ann:2026-05-01" }));
  const sources = ["ann:2026-05-02", "ann:2026-05-01"];
  expect(book.has("g", "ban", sources)).toBe(true);
  expect([book.has("g", "ban", []), book.has("g", "ban", sources.slice(0, 1))]).toEqual([
    false,
    false,
  ]);
  expect([book.has("h", "ban", sources), book.has("g", "left", sources)]).toEqual([false, false]);
});

test("a note can be edited and a decision made; neither touches another case", () => {
  book.open(given());
  book.open(given({ sourceId: "m2" }));
  book.setNote("g", 1, "first");
  expect(book.setNote("g", 1, "second")?.note).toBe("second");
  expect(book.decide("g", 1, "overturned")?.state).toBe("overturned");
  expect(book.find("g", 2)).toMatchObject({ note: "", state: "open" });
  expect(book.setNote("g", 9, "x")).toBeUndefined();
});

test("what was said is kept as a hash only, and words about a person go with their key", () => {
  book.open(given({ reason: "REASONWORDS" }));
  book.setNote("g", 1, "NOTEWORDS");
  for (const name of ["cases.db", "cases.db-wal"]) {
    expect(readFileSync(join(folder, name), "latin1")).not.toMatch(
      /SECRETWORDS|REASONWORDS|NOTEWORDS/,
    );
  }
  expect(book.find("g", 1)).toMatchObject({
    reason: "REASONWORDS",
    evidenceSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  keys.destroy("ann");
  expect(book.find("g", 1)).toMatchObject({ reason: "(erased)", note: "(erased)", number: 1 });
});
