import { afterEach, expect, test, vi } from "vitest";
import type { Announcement } from "#deploy/start/announce.ts";
import { scheduleTraining, type Training } from "#deploy/start/training.ts";
import { type SmallWorld, smallWorld } from "../../trainer/nightly/small-world.ts";

afterEach(() => {
  vi.useRealTimers();
});

function schedule(world: SmallWorld, at: string): { training: Training; said: Announcement[] } {
  const said: Announcement[] = [];
  const training = scheduleTraining({
    at,
    dataDir: world.dataDir,
    env: world.settings,
    announce: (announcement) => said.push(announcement),
    onLog: () => {},
  });
  return { training, said };
}

test("training starts at TRAIN_AT in local time, not before, and its outcome is told", async () => {
  const world = smallWorld([]);
  vi.useFakeTimers({ now: new Date(2026, 5, 1, 2, 59, 0) });
  const { training, said } = schedule(world, "03:00");
  expect(training.next()).toEqual(new Date(2026, 5, 1, 3, 0, 0));
  await vi.advanceTimersByTimeAsync(59_000);
  expect(said).toEqual([]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(said.map(({ event }) => event)).toEqual(["training"]);
  vi.useRealTimers();
  await expect.poll(() => said.length, { timeout: 30_000 }).toBe(2);
  expect(said[1]).toMatchObject({ event: "trained", exitCode: 1 });
  expect(JSON.stringify(said[1])).toContain("Training needs at least 24");
  await training.stop(1_000);
});

test("TRAIN_AT=off schedules nothing", async () => {
  const { training, said } = schedule(smallWorld([]), "off");
  expect(training.next()).toBeNull();
  await training.stop(0);
  expect(said).toEqual([]);
});
