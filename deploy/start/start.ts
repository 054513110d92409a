/** `npm start`: the supervisor with this process's signals, stdout and stderr. */
import { type Config, loadConfig, ownEnvironment } from "#engine/base/config.ts";
import { announcer } from "./announce.ts";
import { parseLogLine } from "./log-lines.ts";
import { CAN_RELOAD, RELOAD_SIGNAL } from "./reload.ts";
import { ManagerLink, readWishes, sendByProgram } from "./service-manager.ts";
import { supervise } from "./supervisor.ts";

/** One Ctrl-C comes twice under npm: from the terminal, and passed on by npm. */
const SAME_KEYPRESS_MS = 500;

/**
 * Runs everything until SIGINT or SIGTERM; a second SIGINT ends at once. SIGUSR2 has the settings read again (SIGHUP
 * is what a closing terminal sends).
 * @throws CodedError what keeps it from starting or running
 */
export async function start(config: Config, json: boolean): Promise<void> {
  const stop = new AbortController();
  let askedAtMs = Number.NEGATIVE_INFINITY;
  const onSignal = (): void => {
    const sinceMs = performance.now() - askedAtMs;
    if (!stop.signal.aborted) askedAtMs = performance.now();
    else if (sinceMs > SAME_KEYPRESS_MS) process.exit(1);
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  let onReload = () => {};
  const onReloadSignal = () => onReload();
  if (CAN_RELOAD) process.on(RELOAD_SIGNAL, onReloadSignal);
  const onProblem = (message: string) => process.stderr.write(`${message}\n`);
  const wishes = readWishes(ownEnvironment());
  using manager =
    wishes === undefined ? undefined : new ManagerLink({ wishes, send: sendByProgram, onProblem });
  try {
    await supervise({
      config,
      reload: {
        read: loadConfig,
        whenAsked: (listener) => {
          onReload = listener;
        },
      },
      announce: announcer(json),
      onLog: (line) => {
        const text = json ? line : (parseLogLine(line)?.text ?? line);
        process.stderr.write(`${text}\n`);
      },
      manager,
      stop: stop.signal,
    });
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    process.off(RELOAD_SIGNAL, onReloadSignal);
  }
}
