/** A download's progress as a line that is written over, or as a line now and then where it cannot be. */
import { systemClock } from "#engine/base/clock.ts";

/** Where it is written. */
type Output = { readonly isTTY?: boolean; write(text: string): unknown };
/** To be disposed when the work is over. */
export type ProgressLine = Disposable & {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
};

const MEBIBYTE = 1 << 20;
const REDRAW_MS = 200;
/** A log wants no line for every mebibyte. */
const LOG_SHARE = 0.1;

/** @param output undefined: nothing is shown */
export function progressLine(what: string, output: Output | undefined): ProgressLine {
  const startedMs = systemClock.monotonicMs();
  let [shownMs, shownShare, firstBytes] = [Number.NEGATIVE_INFINITY, -1, -1];
  let isOpen = false;
  return {
    onProgress: (doneBytes, totalBytes) => {
      if (output === undefined) return;
      if (firstBytes < 0) firstBytes = doneBytes;
      const nowMs = systemClock.monotonicMs();
      const share = totalBytes > 0 ? doneBytes / totalBytes : 0;
      const isDue =
        output.isTTY === true ? nowMs - shownMs >= REDRAW_MS : share - shownShare >= LOG_SHARE;
      if (!isDue && share < 1) return;
      [shownMs, shownShare] = [nowMs, share];
      const seconds = Math.max(0.001, (nowMs - startedMs) / 1000);
      const line = describe(what, doneBytes, totalBytes, (doneBytes - firstBytes) / seconds);
      output.write(output.isTTY === true ? `\r\u001b[K${line}` : `${line}\n`);
      isOpen = output.isTTY === true;
    },
    [Symbol.dispose]: () => {
      if (isOpen) output?.write("\n");
    },
  };
}

function describe(what: string, done: number, total: number, bytesPerSecond: number): string {
  const mebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE);
  const leftS = bytesPerSecond > 0 ? Math.round((total - done) / bytesPerSecond) : 0;
  const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
  return `${what}: ${percent}% · ${mebibytes(done)} of ${mebibytes(total)} MiB · ${mebibytes(bytesPerSecond)} MiB/s · ${leftS} s left`;
}
