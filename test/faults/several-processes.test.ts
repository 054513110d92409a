import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GatewayLedger } from "#bot/discord/gateway/gateway-ledger.ts";
import { CaseBook } from "#bot/moderation/case-book.ts";
import { systemClock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { ConsentBook } from "#trainer/feedback/consent.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import { openPseudonyms } from "#trainer/feedback/pseudonym.ts";

const WRITER = join(import.meta.dirname, "writing-process.ts");
const NAMES = ["a", "b", "c"];
const ROUNDS = 40;
const LIMIT_MS = 120_000;

/** What a writer says that it did. */
type Done = {
  readonly numbers: readonly number[];
  readonly recorded: number;
  readonly pseudonym: string;
};

const dataDir = mkdtempSync(join(tmpdir(), "several-"));
let done: readonly Done[];

/** Real processes that open a new data folder in the same moment, as shards do, and write at once. */
beforeAll(async () => {
  const writers = NAMES.map((name) => {
    const child = spawn(process.execPath, [WRITER, dataDir, name, String(ROUNDS)]);
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += String(chunk);
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, lines, stderr: () => stderr };
  });
  for (const { lines } of writers) expect((await lines.next()).value).toBe("here");
  for (const { child } of writers) child.stdin.end("go\n");
  done = await Promise.all(
    writers.map(async ({ child, lines, stderr }) => {
      const { value } = await lines.next();
      if (child.exitCode === null) await once(child, "exit");
      expect(stderr()).toBe("");
      expect(child.exitCode).toBe(0);
      return JSON.parse(String(value));
    }),
  );
}, LIMIT_MS);
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

describe("several processes on one data folder", () => {
  test("agree on the installation's secret", () => {
    expect(new Set(done.map(({ pseudonym }) => pseudonym)).size).toBe(1);
    expect(openPseudonyms(dataDir)("somebody")).toBe(done[0]?.pseudonym);
  });

  test("lose no exchange and no event, and record one that all of them heard once", () => {
    using log = FeedbackLog.openIn({ DATA_DIR: dataDir });
    const { exchanges, candidates, events } = log.counts();
    const written = NAMES.length * ROUNDS;
    expect({ exchanges, candidates, events }).toEqual({
      exchanges: written,
      candidates: written,
      events: written + ROUNDS,
    });
    expect(done.reduce((sum, { recorded }) => sum + recorded, 0)).toBe(ROUNDS);
  });

  test("make one key for each person: what any of them sealed opens", () => {
    using log = FeedbackLog.openIn({ DATA_DIR: dataDir });
    const texts = [...log.exchanges()].map(
      ({ exchange, candidates }) => `${exchange.messages[0]?.content}, ${candidates[0]?.text}`,
    );
    const expected = NAMES.flatMap((name) =>
      Array.from({ length: ROUNDS }, () => `asked by ${name}, answer of ${name}`),
    );
    expect(texts.toSorted()).toEqual(expected.toSorted());
    // Forgetting a person closes what each of the processes wrote about them.
    const person = openPseudonyms(dataDir)("person 0");
    expect(log.forgetPerson(person).toSorted()).toEqual(NAMES.map((name) => `${name} 0`));
    expect(log.exchange("a 0")?.deleted).toBe(true);
  });

  test("give each case of a server a number of its own, without gaps", () => {
    const numbers = done.flatMap(({ numbers: each }) => each).toSorted((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: NAMES.length * ROUNDS }, (_, n) => n + 1));
    using keys = KeyRing.open({ DATA_DIR: dataDir });
    using cases = CaseBook.open(dataDir, keys, systemClock);
    expect(cases.find("1", numbers.length)?.reason).toMatch(/^reason of [abc]$/);
  });

  test("keep every change of consent, and count refused requests together", () => {
    using consent = ConsentBook.open(dataDir);
    const person = openPseudonyms(dataDir)("person 1");
    expect(consent.historyOf(person)).toHaveLength(NAMES.length);
    using ledger = GatewayLedger.open(dataDir, createLog("test", "silent"));
    expect(ledger.refusals().count).toBe(NAMES.length * ROUNDS);
  });
});
