import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FeedbackCapture } from "#bot/feedback/capture.ts";
import { Notices } from "#bot/feedback/notices.ts";
import { CodedError } from "#engine/base/errors.ts";
import { createLog } from "#engine/base/log.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";

let folder: string;
let feedback: FeedbackLog;
let capture: FeedbackCapture;
const clock = { nowMs: () => 1_000, monotonicMs: () => 0 };
const log = createLog("test", "silent");
const pseudonymise = (id: string) => `key of ${id}`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "capture-"));
  feedback = FeedbackLog.open(feedbackPath(folder), clock);
  capture = new FeedbackCapture({ feedback, pseudonymise, clock, log });
  addAnswer("x", "c", "m");
});
afterEach(() => {
  feedback.close();
  rmSync(folder, { recursive: true, force: true });
});

function addAnswer(exchangeId: string, candidateId: string, messageId: string): void {
  feedback.recordExchange(
    {
      id: exchangeId,
      source: "playground",
      guildId: "g",
      channelId: "channel",
      threadId: null,
      authorKey: "asker",
      messages: [{ role: "user", content: "question" }],
      systemPromptSha256: "0".repeat(64),
      createdAtMs: 1,
    },
    [
      {
        id: candidateId,
        exchangeId,
        text: "answer",
        adapter: null,
        sampling: {},
        finishReason: "stop",
        createdAtMs: 1,
      },
    ],
  );
  feedback.recordMessage(messageId, candidateId);
}

const react = (emoji: string, action: "made" | "withdrawn" = "made") =>
  capture.reaction({ messageId: "m", personId: "mira", emoji, action }).kind;
const standing = () => feedback.standing().map(({ kind, value }) => [kind, value]);

describe("capturing reactions", () => {
  test("each change is recorded once, and taking back 👎 lets 👍 stand again", () => {
    expect([react("👍"), react("👍"), react("👎")]).toEqual(["recorded", "duplicate", "recorded"]);
    expect(standing()).toEqual([["reaction", -1]]);
    expect(react("👎", "withdrawn")).toBe("recorded");
    expect(standing()).toEqual([["reaction", 1]]);
    expect(react("👎", "withdrawn")).toBe("duplicate");
  });

  test("other emoji and other messages are ignored", () => {
    expect(react("🎉")).toBe("ignored");
    const elsewhere = { messageId: "?", personId: "mira", emoji: "👍", action: "made" } as const;
    expect(capture.reaction(elsewhere).kind).toBe("ignored");
  });

  test("a moderator who clears all reactions, or one emoji, withdraws everybody's", () => {
    for (const personId of ["mira", "aiko"]) {
      capture.reaction({ messageId: "m", personId, emoji: "👍", action: "made" });
      capture.reaction({ messageId: "m", personId, emoji: "👎", action: "made" });
    }
    expect(capture.reactionsCleared("m", "🎉").kind).toBe("ignored");
    capture.reactionsCleared("m", "👎");
    expect(standing()).toEqual([
      ["reaction", 1],
      ["reaction", 1],
    ]);
    capture.reactionsCleared("m");
    expect(standing()).toEqual([]);
  });
});

describe("capturing ratings", () => {
  const rating = { candidateId: "c", personId: "mira", stars: 4, interactionId: "i" };

  test("a later rating stands even at the same millisecond; the same interaction counts once", () => {
    expect(capture.rate(rating).kind).toBe("recorded");
    expect(capture.rate(rating).kind).toBe("duplicate");
    capture.rate({ ...rating, stars: 2, interactionId: "j" });
    expect(standing()).toEqual([["rate", 2]]);
  });

  test("an answer that was deleted cannot be found any more", () => {
    expect(capture.lastAnswer(["channel"])?.candidate.id).toBe("c");
    capture.deleted("m");
    expect(capture.lastAnswer(["channel"])).toBeUndefined();
    expect(capture.answerOfMessage("m")).toBeUndefined();
    expect(capture.answer("c")).toBeUndefined();
  });
});

describe("when nothing can be written", () => {
  test("feedback is reported as not saved, and saved again once it can be", () => {
    const other = new DatabaseSync(feedbackPath(folder));
    other.exec("CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'x'); END");
    expect(
      capture.reaction({ messageId: "m", personId: "a", emoji: "👍", action: "made" }),
    ).toEqual({
      kind: "not_saved",
      isDiskFull: false,
    });
    other.exec("DROP TRIGGER broken");
    other.close();
    expect(react("👍")).toBe("recorded");
  });

  test("a full disk is told apart", () => {
    const full = {
      ...bound(feedback),
      record: () => {
        throw new CodedError("no room", { code: "disk_full" });
      },
    };
    const onFullDisk = new FeedbackCapture({ feedback: full, pseudonymise, clock, log });
    const rating = { candidateId: "c", personId: "mira", stars: 4, interactionId: "i" };
    expect(onFullDisk.rate(rating)).toEqual({ kind: "not_saved", isDiskFull: true });
  });

  test("a channel is told once in ten minutes", () => {
    let now = 0;
    const notices = new Notices({ nowMs: () => 0, monotonicMs: () => now });
    expect([notices.mayTell("a"), notices.mayTell("a"), notices.mayTell("b")]).toEqual([
      true,
      false,
      true,
    ]);
    now = 10 * 60_000;
    expect(notices.mayTell("a")).toBe(true);
  });
});

function bound(of: FeedbackLog) {
  return {
    candidate: of.candidate.bind(of),
    candidateOfMessage: of.candidateOfMessage.bind(of),
    lastCandidate: of.lastCandidate.bind(of),
    eventsOf: of.eventsOf.bind(of),
    recordDeletion: of.recordDeletion.bind(of),
  };
}
