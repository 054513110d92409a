import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { smallWorld } from "../../trainer/nightly/small-world.ts";
import { logOf } from "../../trainer/pairs/feedback-fixture.ts";
import { runZephyr } from "../start/running-zephyr.ts";

const from = smallWorld([]);
logOf(
  [
    { asked: "Why?", answer: "Because.", says: { ann: "👍", ben: 4 } },
    { asked: "How?", answer: "So.", says: { ann: "👎" } },
  ],
  feedbackPath(from.dataDir),
).close();
const file = join(from.dataDir, "log.jsonl");
const exported = await runZephyr(from.settings, "feedback", "export", "--out", file);

const imported = (world: typeof from, path = file) =>
  runZephyr(world.settings, "feedback", "import", path, "--json");
const again = async (world: typeof from) =>
  (await runZephyr(world.settings, "feedback", "export")).stdout;

test("what was exported is exported again by the log that took it in, also when it came twice", async () => {
  expect(exported.code).toBe(0);
  const to = smallWorld([]);
  const first = await imported(to);
  expect(first.code).toBe(0);
  expect(JSON.parse(first.stdout)).toEqual({ file, exchanges: 2, answers: 2, votes: 3 });
  expect(await again(to)).toBe(readFileSync(file, "utf8"));
  await imported(to);
  expect(await again(to)).toBe(readFileSync(file, "utf8"));
});

test("what the log knows to be deleted does not come back", async () => {
  const to = smallWorld([]);
  {
    using log = FeedbackLog.open(feedbackPath(to.dataDir));
    log.recordDeletion("x1");
  }
  expect((await imported(to)).code).toBe(0);
  const text = await again(to);
  expect(text).toContain("Because.");
  expect(text).not.toContain("How?");
});

test("a file with one bad line is refused whole, naming the line", async () => {
  const to = smallWorld([]);
  const [good = "", second = ""] = readFileSync(file, "utf8").split("\n");
  const bad = join(to.dataDir, "bad.jsonl");
  for (const [line, message] of [
    ["{", /line 2: it is no JSON/],
    ["{}", /line 2: id:/],
    [second.replace('"value":-1', '"value":7'), /line 2: expected a reaction/],
    [
      second.replace('"exchangeId":"x1"', '"exchangeId":"x9"'),
      /line 2: the answer a1 is of another/,
    ],
  ] as const) {
    writeFileSync(bad, `${good}\n${line}\n`);
    const { code, stdout } = await imported(to, bad);
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error.message).toMatch(message);
  }
  expect(await again(to)).toBe("");
  expect((await imported(to, join(to.dataDir, "missing"))).stdout).toMatch(/There is no file/);
});
