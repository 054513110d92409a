import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { isCoded } from "#engine/base/errors.ts";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import type { FeedbackEvent } from "#trainer/feedback/records.ts";
import { smallWorld, taste } from "../trainer/nightly/small-world.ts";
import { CAN_MOUNT, mountSmallDisk } from "./small-disk.ts";

const MEBIBYTE = 1 << 20;
const TRAINER = join(import.meta.dirname, "../../trainer/main.ts");

function vote(index: number): FeedbackEvent {
  return {
    id: `event-${index}`,
    candidateId: `a${index}`,
    raterKey: "r",
    kind: "reaction",
    value: 1,
    comment: "x".repeat(500),
    action: "made",
    atMs: index,
  };
}

function failureOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

// Skipped where this process may not mount a disk to fill: that takes root on Linux.
describe.skipIf(!CAN_MOUNT)("on a full disk", () => {
  test("feedback is refused as disk_full, what was acknowledged is kept, and room mends it", () => {
    using disk = mountSmallDisk(MEBIBYTE);
    const path = feedbackPath(disk.folder);
    let acknowledged = 0;
    {
      using log = FeedbackLog.open(path);
      let failure: unknown;
      while (failure === undefined && acknowledged < 10_000) {
        failure = failureOf(() => log.record(vote(acknowledged)));
        if (failure === undefined) acknowledged += 1;
      }
      expect(isCoded(failure, "disk_full")).toBe(true);
      expect(String(failure)).toContain(path);
      expect(log.counts().events).toBe(acknowledged);
    }
    const copy = mountSmallDisk(4 * MEBIBYTE);
    cpSync(path, feedbackPath(copy.folder));
    for (const ending of ["-wal", "-shm"]) {
      cpSync(`${path}${ending}`, `${feedbackPath(copy.folder)}${ending}`, { force: true });
    }
    {
      using log = FeedbackLog.open(feedbackPath(copy.folder));
      expect(log.counts().events).toBe(acknowledged);
      expect(log.record(vote(acknowledged))).toBe("recorded");
    }
    copy[Symbol.dispose]();
  });

  test("an open log recovers by itself once there is room again", () => {
    using disk = mountSmallDisk(MEBIBYTE);
    using log = FeedbackLog.open(feedbackPath(disk.folder));
    log.record(vote(0));
    disk.fill();
    const failures = [1, 2, 3].map((index) => failureOf(() => log.record(vote(index))));
    expect(isCoded(failures.at(-1), "disk_full")).toBe(true);
    disk.free();
    expect(log.record(vote(4))).toBe("recorded");
    expect(log.standing().length).toBe(log.counts().events);
  });

  test("a log cannot be opened, and says why", () => {
    using disk = mountSmallDisk(MEBIBYTE);
    disk.fill();
    const failure = failureOf(() => FeedbackLog.open(feedbackPath(disk.folder)));
    expect(isCoded(failure, "disk_full")).toBe(true);
  });

  test("a file is wholly the old one, and nothing is left beside it", () => {
    using disk = mountSmallDisk(MEBIBYTE);
    const path = join(disk.folder, "pointer");
    writeFileAtomic(path, "old");
    disk.fill();
    const failure = failureOf(() => writeFileAtomic(path, "x".repeat(100_000)));
    expect(isCoded(failure, "disk_full")).toBe(true);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(disk.folder).sort()).toEqual(["filling", "pointer"]);
  });

  test("a training run keeps its place, and is taken up once there is room", () => {
    const world = smallWorld(taste(30));
    using disk = mountSmallDisk(2 * MEBIBYTE);
    for (const name of ["feedback.db", "keys.db", "master.key"]) {
      cpSync(join(world.dataDir, name), join(disk.folder, name));
    }
    // Enough for the data set, not for the rest of the run.
    disk.fill(160_000);
    const train = () => {
      const env = { ...process.env, ...world.settings, DATA_DIR: disk.folder };
      const { status, stdout } = spawnSync(process.execPath, [TRAINER, "--json"], { env });
      return { status, result: JSON.parse(String(stdout)) };
    };
    const full = train();
    expect(full.status).toBe(1);
    expect(full.result).toMatchObject({ event: "error", code: "disk_full" });
    expect(full.result.message).toMatch(/Free some space/);
    const runs = readdirSync(join(disk.folder, "runs")).filter((name) => /^\d/.test(name));
    expect(runs).toHaveLength(1);

    disk.free();
    const mended = train();
    expect(mended.result).toMatchObject({ status: "published", run: runs[0] });
  });
});
