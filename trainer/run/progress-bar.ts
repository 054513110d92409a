/** Shows a run's progress to a person: a bar with the time left on a terminal, a line now and then elsewhere. */
import { SingleBar } from "cli-progress";
import { type Clock, systemClock } from "#engine/base/clock.ts";
import type { Progress } from "./run.ts";

/** Where the bar is drawn, such as `process.stderr`. */
export type BarStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** Draws progress; give `show` to a run as its `onProgress`. */
export type ProgressBar = Disposable & { readonly show: (progress: Progress) => void };

/** Between two lines where there is no terminal. */
const LINE_EVERY_MS = 10_000;
const BAR = {
  // Its own handler would take SIGINT from the entry point, whose part it is to stop the run.
  gracefulExit: false,
  barCompleteChar: "█",
  barIncompleteChar: "░",
  barsize: 24,
  hideCursor: true,
  linewrap: false,
};
const PHASES: Record<Progress["phase"], string> = {
  reference: "reference",
  train: "training",
  evaluate: "evaluating",
};

/** Opens a bar on a terminal; on anything else, plain lines at most every ten seconds and at each phase's end. */
export function openProgressBar(stream: BarStream, clock: Clock = systemClock): ProgressBar {
  return stream.isTTY === true ? terminalBar(stream) : plainLines(stream, clock);
}

/** `training 12/40 · loss 0.5123 · 812 tok/s · 3 min 10 s left`. */
function describeProgress(progress: Progress): string {
  return `${PHASES[progress.phase]} ${progress.done}/${progress.total}${details(progress)}`;
}

function details({ loss, tokensPerSecond, remainingMs }: Progress): string {
  const parts = [
    loss === undefined ? [] : `loss ${loss.toFixed(4)}`,
    tokensPerSecond === undefined ? [] : `${Math.round(tokensPerSecond)} tok/s`,
    remainingMs === undefined ? [] : `${duration(remainingMs)} left`,
  ].flat();
  return parts.map((part) => ` · ${part}`).join("");
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function terminalBar(stream: BarStream): ProgressBar {
  let bar: SingleBar | undefined;
  let phase: Progress["phase"] | undefined;
  const stop = (): void => bar?.stop();
  return {
    show: (progress) => {
      if (progress.phase !== phase) {
        stop();
        const format = `${PHASES[progress.phase].padEnd(10)} [{bar}] {value}/{total}{details}`;
        bar = new SingleBar({ ...BAR, stream, format });
        bar.start(progress.total, progress.done, { details: details(progress) });
        phase = progress.phase;
      }
      bar?.setTotal(progress.total);
      bar?.update(progress.done, { details: details(progress) });
    },
    [Symbol.dispose]: stop,
  };
}

function plainLines(stream: BarStream, clock: Clock): ProgressBar {
  let shownMs = Number.NEGATIVE_INFINITY;
  return {
    show: (progress) => {
      const due = clock.monotonicMs() - shownMs >= LINE_EVERY_MS;
      if (!due && progress.done < progress.total) return;
      shownMs = clock.monotonicMs();
      stream.write(`${describeProgress(progress)}\n`);
    },
    [Symbol.dispose]: () => undefined,
  };
}
