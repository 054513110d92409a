import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Watchdog, watch } from "#engine/service/watchdog.ts";

let nowMs = 0;
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
const stats = { decodes: 0, decodedTokens: 0, busyStreams: 0, waiting: 0 };
const backend = { stats: () => ({ ...stats }) };

beforeEach(() => {
  nowMs = 0;
  Object.assign(stats, { decodes: 0, busyStreams: 0 });
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the watchdog", () => {
  it("sees nothing wrong while nobody asks, however long", () => {
    const watchdog = new Watchdog(backend, clock);
    nowMs += 86_400_000;
    expect(watchdog.look()).toBeUndefined();
  });

  it("sees nothing wrong while batches are finished, however slowly", () => {
    const watchdog = new Watchdog(backend, clock);
    stats.busyStreams = 3;
    for (let batch = 0; batch < 20; batch++) {
      stats.decodes += 1;
      nowMs += 170_000;
      expect(watchdog.look()).toBeUndefined();
    }
  });

  it("barks when streams are busy and nothing was computed for three minutes", () => {
    const watchdog = new Watchdog(backend, clock);
    stats.busyStreams = 1;
    expect(watchdog.look()).toBeUndefined();
    nowMs += 179_999;
    expect(watchdog.look()).toBeUndefined();
    nowMs += 1;
    expect(watchdog.look()).toBe(180_000);
  });

  it("counts from when work came, not from when there was none", () => {
    const watchdog = new Watchdog(backend, clock);
    nowMs += 500_000;
    watchdog.look();
    stats.busyStreams = 1;
    nowMs += 10_000;
    expect(watchdog.look()).toBeUndefined();
  });

  it("tells once, and not after it was disposed", () => {
    const told: number[] = [];
    stats.busyStreams = 1;
    watch(new Watchdog(backend, clock), (stillMs) => told.push(stillMs));
    const watched = watch(new Watchdog(backend, clock), () => told.push(-1));
    watched[Symbol.dispose]();
    vi.advanceTimersByTime(10_000);
    nowMs = 200_000;
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([200_000]);
  });
});
