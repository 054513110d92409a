/** `npm start`: the supervisor with this process's signals, stdout and stderr. */
import type { Config } from "#engine/base/config.ts";
import { announcer } from "./announce.ts";
import { parseLogLine } from "./log-lines.ts";
import { supervise } from "./supervisor.ts";

/**
 * Runs everything until SIGINT or SIGTERM; a second SIGINT ends at once.
 * @throws CodedError what keeps it from starting or running
 */
export async function start(config: Config, json: boolean): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(1);
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    await supervise({
      config,
      announce: announcer(json),
      onLog: (line) => {
        const text = json ? line : (parseLogLine(line)?.text ?? line);
        process.stderr.write(`${text}\n`);
      },
      stop: stop.signal,
    });
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
