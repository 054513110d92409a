/**
 * A child that is to run all the time: started again when it crashes, ever more slowly.
 * It knows nothing of what the service is, nor of the other ones.
 */
import { CodedError, ERROR_CODES, type ErrorCode } from "#engine/base/errors.ts";
import { countCrash, NO_CRASHES, restartDelayMs } from "./backoff.ts";
import {
  type ChildExit,
  type ChildLine,
  type ChildSpec,
  type RunningChild,
  type StartChild,
  startChild,
} from "./child.ts";

/** What a service tells its owner. */
export type ServiceHooks = {
  /** It is up; comes again after each restart. */
  readonly onReady: (line: ChildLine) => void;
  /** It crashed and will be started again. */
  readonly onRestart: (reason: string, delayMs: number) => void;
  /** It cannot run; it is not started again. */
  readonly onFailed: (error: CodedError) => void;
  /** Each line that it writes to stderr. */
  readonly onLog: (line: string) => void;
  /** Any other line that it says on stdout, such as how far a download is. */
  readonly onEvent: (line: ChildLine) => void;
  /** Resolves after the time, or at once when aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

/** A supervised service. */
export type Service = {
  /** Since when it is not up, by `performance.now()`; undefined while it is. */
  readonly downSinceMs: number | undefined;
  /** Ends it in order and starts it again, which counts as no crash; resolves once it is up. */
  renew(graceMs: number): Promise<void>;
  /** Asks it to end and waits; it is not started again. */
  stop(graceMs: number): Promise<void>;
};

/** Crashes in a row before it was ever up, after which it is given up. */
const START_ATTEMPTS = 3;
/** Failures that starting again does not mend. */
const LASTING: readonly string[] = [
  "config_invalid",
  "data_newer",
  "discord_token_invalid",
  "discord_token_missing",
  "library_incompatible",
  "library_missing",
] satisfies ErrorCode[];

/**
 * Starts a service and keeps it up until `stop`.
 * @param specFor given the first ready line (undefined before it), what to run: a restarted service
 *   must come up on the port that the others know
 * @param start how its process is started
 */
export function superviseService(
  specFor: (firstReady: ChildLine | undefined) => ChildSpec,
  hooks: ServiceHooks,
  start: StartChild = startChild,
): Service {
  const stopping = new AbortController();
  let running: RunningChild | undefined;
  let firstReady: ChildLine | undefined;
  let downSinceMs: number | undefined = performance.now();
  let isRenewed = false;
  let up = Promise.withResolvers<void>();
  const onLine = (line: ChildLine): void => {
    if (line.event !== "listening" && line.event !== "ready") {
      hooks.onEvent(line);
      return;
    }
    firstReady ??= line;
    downSinceMs = undefined;
    up.resolve();
    hooks.onReady(line);
  };
  const keepUp = async (): Promise<void> => {
    for (let crashes = NO_CRASHES; !stopping.signal.aborted; ) {
      running = start(specFor(firstReady), onLine, hooks.onLog);
      const exit = await running.exited;
      downSinceMs ??= performance.now();
      running = undefined;
      if (stopping.signal.aborted) return;
      if (isRenewed) {
        isRenewed = false;
        continue;
      }
      crashes = countCrash(crashes, exit.ranForMs);
      if (isLasting(exit, firstReady !== undefined, crashes.inARow)) {
        hooks.onFailed(new CodedError(exit.message, { code: toErrorCode(exit.errorCode) }));
        return;
      }
      const delayMs = restartDelayMs(crashes);
      hooks.onRestart(exit.message, delayMs);
      await hooks.sleep(delayMs, stopping.signal);
    }
  };
  const ended = keepUp();
  return {
    get downSinceMs() {
      return downSinceMs;
    },
    renew: async (graceMs) => {
      up = Promise.withResolvers();
      // Between two crashes there is nothing to end: the next start reads the settings anyway.
      isRenewed = running !== undefined;
      await running?.stop(graceMs);
      await up.promise;
    },
    stop: async (graceMs) => {
      stopping.abort();
      await running?.stop(graceMs);
      await ended;
    },
  };
}

function isLasting(exit: ChildExit, wasReady: boolean, crashesInARow: number): boolean {
  if (exit.errorCode !== undefined && LASTING.includes(exit.errorCode)) return true;
  if (wasReady) return false;
  return exit.errorCode !== undefined || crashesInARow >= START_ATTEMPTS;
}

function toErrorCode(code: string | undefined): ErrorCode {
  return code !== undefined && isErrorCode(code) ? code : "internal_error";
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
