import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FeedbackCapture } from "#bot/feedback/capture.ts";
import type { Stamp } from "#bot/feedback/gateway-order.ts";
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
  capture = new FeedbackCapture({ feedback, pseudonymise, log });
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

let events = 0;
/** The next event's. */
function stamp(): Stamp {
  events += 1;
  return { id: `session.${events}`, atMs: events };
}
const react = (emoji: string, action: "made" | "withdrawn" = "made", at = stamp()) =>
  capture.reaction({ messageId: "m", personId: "mira", emoji, action, stamp: at }).kind;
const standing = () => feedback.standing().map(({ kind, value }) => [kind, value]);

describe("capturing reactions", () => {
  test("each event is recorded once, and taking back 👎 lets 👍 stand again", () => {
    const first = stamp();
    expect([react("👍", "made", first), react("👍", "made", first), react("👎")]).toEqual([
      "recorded",
      "duplicate",
      "recorded",
    ]);
    expect(standing()).toEqual([["reaction", -1]]);
    expect(react("👎", "withdrawn")).toBe("recorded");
    expect(standing()).toEqual([["reaction", 1]]);
  });

  test("that come before the answer is recorded are kept for it", () => {
    const early = { messageId: "later", personId: "mira", emoji: "👍" } as const;
    const [made, withdrawn] = [stamp(), stamp()];
    capture.reaction({ ...early, action: "withdrawn", stamp: withdrawn });
    capture.reaction({ ...early, action: "made", stamp: made });
    capture.reaction({ ...early, personId: "aiko", action: "made", stamp: stamp() });
    addAnswer("y", "d", "elsewhere");
    capture.shown("later", "d");
    expect(feedback.standing()).toMatchObject([{ candidateId: "d", raterKey: "key of aiko" }]);
  });

  test("other emoji and other messages are ignored", () => {
    expect(react("🎉")).toBe("ignored");
    const elsewhere = { messageId: "?", personId: "mira", emoji: "👍", action: "made" } as const;
    expect(capture.reaction({ ...elsewhere, stamp: stamp() }).kind).toBe("ignored");
  });

  test("a moderator who clears all reactions, or one emoji, withdraws everybody's", () => {
    for (const personId of ["mira", "aiko"]) {
      capture.reaction({ messageId: "m", personId, emoji: "👍", action: "made", stamp: stamp() });
      capture.reaction({ messageId: "m", personId, emoji: "👎", action: "made", stamp: stamp() });
    }
    expect(capture.reactionsCleared("m", stamp(), "🎉").kind).toBe("ignored");
    capture.reactionsCleared("m", stamp(), "👎");
    expect(standing()).toEqual([
      ["reaction", 1],
      ["reaction", 1],
    ]);
    capture.reactionsCleared("m", stamp());
    expect(standing()).toEqual([]);
  });
});

describe("capturing votes by button", () => {
  const said = () => ({ candidateId: "c", personId: "mira", stamp: stamp() });

  test("one vote stands over buttons and reactions: the last act's", () => {
    react("👍");
    capture.vote(said(), -1);
    expect(standing()).toEqual([["vote", -1]]);
    react("👍");
    expect(standing()).toEqual([["reaction", 1]]);
  });

  test("taking it back leaves none, however it was given", () => {
    react("👍");
    capture.vote(said(), -1);
    capture.unvote(said());
    expect(standing()).toEqual([]);
    capture.vote(said(), 1);
    expect(standing()).toEqual([["vote", 1]]);
  });

  test("asking for another answer and reporting are no votes of the same kind", () => {
    capture.regenerated(said());
    capture.reported(said(), "spam: it advertises");
    capture.vote(said(), 1);
    expect(standing()).toEqual([
      ["vote", 1],
      ["regenerate", -1],
      ["report", -1],
    ]);
  });
});

describe("capturing ratings", () => {
  const rating = { candidateId: "c", personId: "mira", stars: 4, stamp: { id: "i", atMs: 5 } };

  test("a later rating stands, whichever comes first; the same interaction counts once", () => {
    expect(capture.rate(rating).kind).toBe("recorded");
    expect(capture.rate(rating).kind).toBe("duplicate");
    capture.rate({ ...rating, stars: 2, stamp: { id: "j", atMs: 4 } });
    expect(standing()).toEqual([["rate", 4]]);
    capture.rate({ ...rating, stars: 1, stamp: { id: "k", atMs: 6 } });
    expect(standing()).toEqual([["rate", 1]]);
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
      capture.reaction({
        messageId: "m",
        personId: "a",
        emoji: "👍",
        action: "made",
        stamp: stamp(),
      }),
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
    const onFullDisk = new FeedbackCapture({ feedback: full, pseudonymise, log });
    const rating = { candidateId: "c", personId: "mira", stars: 4, stamp: { id: "i", atMs: 5 } };
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
    holdsMessage: of.holdsMessage.bind(of),
    candidate: of.candidate.bind(of),
    candidateOfMessage: of.candidateOfMessage.bind(of),
    lastCandidate: of.lastCandidate.bind(of),
    eventsOf: of.eventsOf.bind(of),
    recordDeletion: of.recordDeletion.bind(of),
    recordMessage: of.recordMessage.bind(of),
    recordExchange: of.recordExchange.bind(of),
    messagesOf: of.messagesOf.bind(of),
    voidUntilMs: of.voidUntilMs.bind(of),
  };
}
