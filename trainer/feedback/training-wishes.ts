/**
 * What operators wish of the training process, as files in the data folder: the bot leaves a wish, the
 * supervisor takes it. It knows nothing of how training runs.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";

const PAUSED = "training-paused";
const WANTED = "training-wanted";

/** The wishes in one data folder. */
export class TrainingWishes {
  readonly #dataDir: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** Whether the nightly training is paused. */
  get isPaused(): boolean {
    return existsSync(join(this.#dataDir, PAUSED));
  }

  /** Pauses it, or lets it go on. @throws CodedError `disk_full` */
  pause(isPaused: boolean): void {
    if (isPaused) this.#leave(PAUSED);
    else rmSync(join(this.#dataDir, PAUSED), { force: true });
  }

  /** Asks for a training now. @throws CodedError `disk_full` */
  want(): void {
    this.#leave(WANTED);
  }

  /** Takes the wish for a training. @returns whether there was one */
  take(): boolean {
    const path = join(this.#dataDir, WANTED);
    if (!existsSync(path)) return false;
    rmSync(path, { force: true });
    return true;
  }

  #leave(name: string): void {
    writeFileAtomic(join(this.#dataDir, name), "");
  }
}
