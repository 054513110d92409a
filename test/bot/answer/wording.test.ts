import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  answerContents,
  answerFile,
  answerFooter,
  failureNotice,
  queueNotice,
  refusalNotice,
} from "#bot/answer/wording.ts";
import { CodedError } from "#engine/base/errors.ts";
import { english } from "../support/english.ts";

describe("what an answer's messages say", () => {
  test("no message is over 2,000 characters, footer included, however long the answer", () => {
    const longFooter = answerFooter(english, "m".repeat(300), "a".repeat(300));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000 }), fc.boolean(), (length, hasBlanks) => {
        const text = (hasBlanks ? "word. " : "x").repeat(length).slice(0, length);
        for (const content of answerContents(english, text, { footer: longFooter })) {
          expect(content.length).toBeLessThanOrEqual(2_000);
          expect(content.trim()).not.toBe("");
        }
      }),
    );
  });

  test("the footer stands below the last message only", () => {
    const contents = answerContents(english, "word ".repeat(500), {
      footer: answerFooter(english, "nano", null),
    });
    expect(contents).toHaveLength(2);
    expect(contents[0]).not.toContain("-# ");
    expect(contents[1]).toMatch(/\n-# nano · base weights$/);
  });

  test("the footer names the adapter that answered", () => {
    expect(answerFooter(english, "nano", "night-2026-11-23")).toBe(
      "nano · adapter night-2026-11-23",
    );
  });

  test("an empty answer is said to be empty", () => {
    expect(answerContents(english, " \n ")).toEqual(["*(The model had nothing to say.)*"]);
  });

  test("an answer that goes on and on is cut after six messages", () => {
    expect(answerContents(english, "word ".repeat(10_000))).toHaveLength(6);
  });
});

describe("what the bot says in its own name", () => {
  test("a place in the queue is told in words", () => {
    expect(queueNotice(english, 0)).toContain("You are next");
    expect(queueNotice(english, 1)).toContain("1 question goes first");
    expect(queueNotice(english, 3)).toContain("3 questions go first");
  });

  test("a refusal says when to try again", () => {
    expect(refusalNotice(english, { reason: "person_rate", retryAfterSeconds: 10 })).toContain(
      "10 s",
    );
    expect(refusalNotice(english, { reason: "guild_queue_full" })).toContain("minute");
    expect(refusalNotice(english, { reason: "closing" })).toContain("restarted");
  });

  test("an engine that is away is said to be away; an unknown error is not explained away", () => {
    const away = new CodedError("no connection", { code: "engine_unreachable" });
    expect(failureNotice(english, away)).toContain("engine is not running");
    expect(failureNotice(english, new Error("secret detail"))).not.toContain("secret detail");
  });
});

describe("an answer that takes more messages than it may", () => {
  test("comes as a file, too, and a shorter one does not", () => {
    const long = "A sentence that goes on. ".repeat(600);
    expect(answerFile(long)).toEqual({ name: "answer.md", text: long });
    expect(answerFile("short")).toBeUndefined();
  });
});

describe("the wait in the queue", () => {
  test("is told in seconds once it is known", () => {
    expect(queueNotice(english, 2)).toBe("-# In the queue: 2 questions go first.");
    expect(queueNotice(english, 2, 12_400)).toBe(
      "-# In the queue: 2 questions go first (about 12 s).",
    );
    expect(queueNotice(english, 0, 10)).toBe("-# You are next in the queue (about 1 s).");
  });
});
