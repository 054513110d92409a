import { expect, test } from "vitest";
import { eraseOld } from "#bot/privacy/retention.ts";
import { logOf } from "../../trainer/pairs/feedback-fixture.ts";

const DAY_MS = 86_400_000;

test("what is older than it may be kept loses its text, and nothing else does", () => {
  using log = logOf([
    { asked: "first", answer: "a", says: {} },
    { asked: "second", answer: "b", says: {} },
  ]);
  // The fixture's exchanges were asked at 1 ms and 2 ms.
  expect(eraseOld(log, 30 * DAY_MS + 2, 30)).toBe(1);
  expect([...log.exchanges()].map(({ deleted }) => deleted)).toEqual([true, false]);
  expect(eraseOld(log, 30 * DAY_MS + 2, 30)).toBe(0);
});
