import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { openProgressBar } from "#trainer/run/progress-bar.ts";

function captured(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120, cursorTo: () => true });
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  return { stream, text: () => text };
}

test("off a terminal: one line at most every ten seconds, and always the last", () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const { stream, text } = captured(false);
  using bar = openProgressBar(stream, clock);
  for (let done = 1; done <= 30; done++) {
    nowMs += 1000;
    bar.show({
      phase: "train",
      done,
      total: 30,
      loss: 0.5,
      tokensPerSecond: 812,
      remainingMs: 190_000,
    });
  }
  expect(text().trim().split("\n")).toEqual([
    "training 1/30 · loss 0.5000 · 812 tok/s · 3 min 10 s left",
    "training 11/30 · loss 0.5000 · 812 tok/s · 3 min 10 s left",
    "training 21/30 · loss 0.5000 · 812 tok/s · 3 min 10 s left",
    "training 30/30 · loss 0.5000 · 812 tok/s · 3 min 10 s left",
  ]);
});

test("on a terminal: a bar that names its phase and is closed when disposed", () => {
  const { stream, text } = captured(true);
  {
    using bar = openProgressBar(Object.assign(stream, TERMINAL));
    bar.show({ phase: "reference", done: 1, total: 2 });
    bar.show({ phase: "train", done: 1, total: 4, remainingMs: 3_720_000 });
  }
  expect(text()).toContain("reference");
  expect(text()).toContain("1/4 · 1 h 2 min left");
});

/** What cli-progress asks of a terminal. */
const TERMINAL = {
  clearLine: () => true,
  moveCursor: () => true,
};
