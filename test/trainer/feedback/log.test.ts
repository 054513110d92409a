import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import type { Candidate, Exchange, FeedbackEvent } from "#trainer/feedback/records.ts";

function exchange(id: string, change: Partial<Exchange> = {}): Exchange {
  return {
    id,
    source: "playground",
    guildId: "g",
    channelId: "c",
    threadId: null,
    authorKey: "asker",
    messages: [{ role: "user", content: `question ${id}` }],
    systemPromptSha256: "0".repeat(64),
    createdAtMs: 1,
    ...change,
  };
}

function candidate(id: string, exchangeId: string, createdAtMs = 1): Candidate {
  return {
    id,
    exchangeId,
    text: `text of ${id}`,
    adapter: null,
    sampling: { temperature: 0.7 },
    finishReason: "stop",
    createdAtMs,
  };
}

function vote(id: string, value: number, change: Partial<FeedbackEvent> = {}): FeedbackEvent {
  return {
    id,
    candidateId: "a",
    raterKey: "r",
    kind: "reaction",
    value,
    action: "made",
    atMs: 1,
    ...change,
  };
}

function temporaryPath(): string {
  return feedbackPath(mkdtempSync(join(tmpdir(), "feedback-")));
}

test("counts thumbs and stars as ratings, not reports or requests for another answer", () => {
  using log = FeedbackLog.open(":memory:");
  for (const kind of ["report", "regenerate"] as const) {
    log.record({ ...vote(kind, -1), kind });
  }
  expect(log.counts()).toMatchObject({ events: 2, standingRatings: 0 });
  for (const kind of ["reaction", "rate"] as const) log.record({ ...vote(kind, 1), kind });
  expect(log.counts()).toMatchObject({ events: 4, standingRatings: 2 });
});

describe("the log", () => {
  test("keeps what was recorded across a reopen", () => {
    const path = temporaryPath();
    {
      using log = FeedbackLog.open(path);
      log.recordExchange(exchange("x", { threadId: "t" }), [candidate("a", "x")]);
      log.recordMessage("m", "a");
      log.record(vote("1", 1));
    }
    using log = FeedbackLog.open(path);
    expect(log.candidateOfMessage("m")).toEqual({
      candidate: candidate("a", "x"),
      exchange: exchange("x", { threadId: "t" }),
    });
    expect(log.counts()).toEqual({ exchanges: 1, candidates: 1, events: 1, standingRatings: 1 });
  });

  test("takes an event once, however often it arrives", () => {
    using log = FeedbackLog.open(":memory:");
    expect(log.record(vote("1", 1))).toBe("recorded");
    expect(log.record(vote("1", -1))).toBe("duplicate");
    expect(log.standing()).toMatchObject([{ value: 1 }]);
  });

  test("refuses a value that does not fit its kind", () => {
    using log = FeedbackLog.open(":memory:");
    const stars = { kind: "rate" } as const;
    for (const bad of [vote("1", 2), vote("2", 0, stars), vote("3", 6, stars)]) {
      expect(() => log.record(bad)).toThrow(/expected a (reaction|rating)/);
    }
    expect(log.counts().events).toBe(0);
  });

  test.each([
    ["UPDATE events SET value = -1", /append-only/],
    ["DELETE FROM events", /append-only/],
  ])("its file forbids %s", (sql, message) => {
    const path = temporaryPath();
    using log = FeedbackLog.open(path);
    log.record(vote("1", 1));
    const other = new DatabaseSync(path);
    expect(() => other.exec(sql)).toThrow(message);
    other.close();
    expect(log.standing()).toMatchObject([{ value: 1 }]);
  });

  test("its file lets nobody replace an event either", () => {
    const path = temporaryPath();
    using log = FeedbackLog.open(path);
    log.record(vote("1", 1));
    const other = new DatabaseSync(path);
    other.exec(
      "INSERT OR REPLACE INTO events (id, candidate_id, rater_key, kind, value, action, at_ms) VALUES ('1', 'a', 'r', 'reaction', -1, 'made', 2)",
    );
    other.close();
    expect(log.standing()).toMatchObject([{ value: 1, atMs: 1 }]);
  });

  test("finds the last answer of a channel, a thread and an asker", () => {
    using log = FeedbackLog.open(":memory:");
    log.recordExchange(exchange("x"), [candidate("a", "x", 1)]);
    log.recordExchange(exchange("y", { authorKey: "other", threadId: "t" }), [
      candidate("b", "y", 2),
    ]);
    expect(log.lastCandidate("c")?.candidate.id).toBe("b");
    expect(log.lastCandidate("c", "asker")?.candidate.id).toBe("a");
    expect(log.lastCandidate("t")?.candidate.id).toBe("b");
    expect(log.lastCandidate("elsewhere")).toBeUndefined();
  });

  test.each([0, 1_000])("a file damaged from byte %d on is named, with what to do", (from) => {
    const path = temporaryPath();
    FeedbackLog.open(path).close();
    writeFileSync(path, readFileSync(path).fill(0xaa, from));
    const thrown = catching(() => {
      using log = FeedbackLog.open(path);
      log.recordExchange(exchange("x"), [candidate("a", "x")]);
    });
    expect(isCoded(thrown, "database_failed")).toBe(true);
    expect(String(thrown)).toContain(path);
    expect(String(thrown)).toMatch(/damaged.*backup/);
  });
});

describe("deleting", () => {
  test.each([["x"], ["a"], ["m"]])("%s erases the answer's text, before or after", (id) => {
    for (const order of ["before", "after"]) {
      using log = FeedbackLog.open(":memory:");
      if (order === "before") log.recordDeletion(id);
      log.recordMessage("m", "a");
      log.recordExchange(exchange("x"), [candidate("a", "x"), candidate("b", "x")]);
      if (order === "after") log.recordDeletion(id);
      const [recorded] = [...log.exchanges()];
      expect(recorded?.deleted).toBe(id === "x");
      expect(recorded?.exchange.messages.length).toBe(id === "x" ? 0 : 1);
      expect(recorded?.candidates.map(({ text }) => text)).toEqual(
        id === "x" ? ["", ""] : ["", "text of b"],
      );
      expect(recorded?.candidates[0]?.deleted).toBe(id !== "x");
    }
  });
});

test("a person's clicks, arriving in any order and repeated, leave the same votes standing", () => {
  const click = fc.record({
    candidateId: fc.constantFrom("a", "b"),
    raterKey: fc.constantFrom("r", "s"),
    kind: fc.constantFrom("reaction" as const, "rate" as const),
    sign: fc.constantFrom(1, -1),
    stars: fc.integer({ min: 1, max: 5 }),
    action: fc.constantFrom("made" as const, "withdrawn" as const),
    atMs: fc.integer({ min: 0, max: 6 }),
  });
  const clicks = fc.array(click, { maxLength: 12 }).map((list) =>
    list.map(({ sign, stars, ...rest }, index) => ({
      ...rest,
      id: `event-${index}`,
      value: rest.kind === "reaction" ? sign : stars,
    })),
  );
  const shuffled = clicks.chain((events) =>
    fc.tuple(
      fc.constant(events),
      fc.shuffledSubarray([...events, ...events], { minLength: events.length * 2 }),
    ),
  );
  fc.assert(
    fc.property(shuffled, ([events, arrivals]) => {
      using inOrder = FeedbackLog.open(":memory:");
      using outOfOrder = FeedbackLog.open(":memory:");
      for (const event of events) inOrder.record(event);
      for (const event of arrivals) outOfOrder.record(event);
      expect(outOfOrder.standing()).toEqual(inOrder.standing());
      const slots = inOrder
        .standing()
        .map((v) => JSON.stringify([v.candidateId, v.raterKey, v.kind]));
      expect(new Set(slots).size).toBe(slots.length);
    }),
    { numRuns: 200 },
  );
});

function catching(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("expected a failure");
}
