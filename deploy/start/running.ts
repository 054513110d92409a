/**
 * A note in the data folder that says where the running engine is, so that the command line finds it
 * on whatever port it came up. It knows nothing of the engine itself.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";

const runningSchema = z.object({ pid: z.number().int(), engineUrl: z.url() });

/** Which supervisor runs, and where its engine is. */
export type Running = z.infer<typeof runningSchema>;

/** Writes the note. @throws CodedError `disk_full` */
export function noteRunning(dataDir: string, running: Running): void {
  writeFileAtomic(notePath(dataDir), `${JSON.stringify(running)}\n`);
}

/** Takes the note away. */
export function forgetRunning(dataDir: string): void {
  rmSync(notePath(dataDir), { force: true });
}

/** The note, if there is one and its process lives. */
export function readRunning(dataDir: string): Running | undefined {
  try {
    const running = runningSchema.parse(JSON.parse(readFileSync(notePath(dataDir), "utf8")));
    process.kill(running.pid, 0);
    return running;
  } catch {
    // No note, a damaged one, or one whose process is gone: nothing is known to run.
    return undefined;
  }
}

function notePath(dataDir: string): string {
  return join(dataDir, "running.json");
}
