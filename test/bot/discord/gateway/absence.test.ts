import { Keyv } from "keyv";
import { expect, test } from "vitest";
import { Absence } from "#bot/discord/gateway/absence.ts";
import { HandClock } from "../../../deploy/playground/arena.ts";

test("lasts from the last packet of a session until the next one has caught up, however many sessions that takes", async () => {
  const clock = new HandClock();
  const absence = new Absence(new Keyv(), clock);
  absence.heard(0);
  const lastMs = clock.nowMs();
  clock.forward(5_000);
  absence.ends(0, "second");
  absence.heard(0);
  clock.forward(5_000);
  absence.ends(0, "third");
  absence.heard(0);
  expect(await absence.sinceMs(0)).toBe(lastMs);
  expect([absence.isBehind(0, "second"), absence.isBehind(0, "third")]).toEqual([false, true]);
  absence.caughtUp(0);
  absence.ends(0, "fourth");
  expect(await absence.sinceMs(0)).toBe(lastMs + 10_000);
});

test("is known over a restart to the minute, and shard by shard", async () => {
  const clock = new HandClock();
  const store = new Keyv();
  const before = new Absence(store, clock);
  const startMs = clock.nowMs();
  for (let second = 0; second < 90; second++) {
    before.heard(0);
    clock.forward(1_000);
  }
  await expect.poll(() => store.get("heard:0")).toBe(startMs + 60_000);
  const after = new Absence(store, clock);
  after.ends(0, "new");
  after.ends(1, "new");
  expect([await after.sinceMs(0), await after.sinceMs(1)]).toEqual([startMs + 60_000, undefined]);
});
