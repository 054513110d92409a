import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { parseConfig } from "#engine/base/config.ts";
import { KeyRing } from "#trainer/feedback/key-ring.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { readFeedback } from "#trainer/nightly/read-feedback.ts";
import { ratedPrompts } from "#trainer/pairs/answers.ts";
import { logOf, type Said } from "../pairs/feedback-fixture.ts";

const NOW_MS = 1_000_000;

function read(said: readonly Said[], settings: Readonly<Record<string, string>> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), "feedback-"));
  logOf(said, feedbackPath(dataDir)).close();
  return { dataDir, ...readFeedback(parseConfig({ DATA_DIR: dataDir, ...settings }), NOW_MS) };
}

const idsOf = ({ exchanges }: Pick<ReturnType<typeof read>, "exchanges">) =>
  [...exchanges].map(({ exchange }) => exchange.id);

const rated = (index: number, change: Partial<Said> = {}): Said => {
  return { asked: `question ${index}`, answer: "good", says: { ann: "👍" }, ...change };
};

test("the newest rated answers are taken, up to the limit, and how many are left is told", () => {
  const said = Array.from({ length: 600 }, (_, i) => rated(i, i % 2 === 0 ? {} : { says: {} }));
  const found = read(said, { TRAIN_MAX_ANSWERS: "4" });
  expect(idsOf(found)).toEqual(["x592", "x594", "x596", "x598"]);
  expect(found.votes.map(({ candidateId }) => candidateId).sort()).toEqual([
    "a592",
    "a594",
    "a596",
    "a598",
  ]);
  expect(found.left).toEqual({ enough_newer: 296 });
});

test("what may not be learnt from takes no place of what may, and is counted by the reason", () => {
  const newer = [
    ...Array.from({ length: 5 }, (_, i) => rated(i + 10, { source: "discord" })),
    rated(20, { deleted: true }),
  ];
  const found = read([rated(0), rated(1), rated(2), ...newer], { TRAIN_MAX_ANSWERS: "2" });
  expect(idsOf(found)).toEqual(["x1", "x2"]);
  expect(found.left).toEqual({ from_discord: 5, deleted: 1, enough_newer: 1 });
});

test("words of what is left where it is are not even opened", () => {
  const unasked = Array.from({ length: 5 }, (_, i) => rated(i + 10, { source: "discord" }));
  const open = vi.spyOn(KeyRing.prototype, "open");
  onTestFinished(() => open.mockRestore());
  const found = read([rated(0), rated(1), rated(2), ...unasked], { TRAIN_MAX_ANSWERS: "2" });
  expect(idsOf(found)).toEqual(["x1", "x2"]);
  const contexts = open.mock.calls.map(([, context]) => context);
  expect(contexts.sort()).toEqual(["candidate a1", "candidate a2", "exchange x1", "exchange x2"]);
});

test("what a destroyed key closes counts as deleted, though it has no tombstone", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "feedback-"));
  logOf([rated(0)], feedbackPath(dataDir)).close();
  {
    using keys = KeyRing.open({ DATA_DIR: dataDir });
    expect(keys.destroy("asker")).toBe(true);
  }
  const found = readFeedback(parseConfig({ DATA_DIR: dataDir }), NOW_MS);
  expect(idsOf(found)).toEqual([]);
  expect(found.left).toEqual({ deleted: 1 });
});

test("below the limit, what is read gives the prompts and votes of the whole log", () => {
  const line = fc.record({
    asked: fc.constantFrom("Why?", "How?", "When?"),
    answer: fc.constantFrom("so", "thus"),
    says: fc.dictionary(
      fc.constantFrom("ann", "bob", "eve"),
      fc.oneof(fc.constantFrom("👍" as const, "👎" as const), fc.integer({ min: 1, max: 5 })),
      { maxKeys: 3 },
    ),
  });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (said) => {
      const { dataDir, ...found } = read(said);
      using log = FeedbackLog.open(feedbackPath(dataDir));
      const whole = { ...found, exchanges: [...log.exchanges()], votes: log.standing() };
      expect(ratedPrompts(found)).toEqual(ratedPrompts(whole));
      expect(found.left).toEqual({});
      const byPlace = (votes: typeof found.votes) => votes.map((one) => JSON.stringify(one)).sort();
      expect(byPlace(found.votes)).toEqual(byPlace(whole.votes));
    }),
    { numRuns: 25 },
  );
});

test("votes of somebody who was banned from the server do not stand", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "feedback-"));
  {
    using log = logOf([rated(0, { says: { ann: "👍", bob: "👎" } })], feedbackPath(dataDir));
    log.voidVotes("ann", "g");
  }
  const { votes } = readFeedback(parseConfig({ DATA_DIR: dataDir }), NOW_MS);
  expect(votes.map(({ raterKey }) => raterKey)).toEqual(["bob"]);
});
