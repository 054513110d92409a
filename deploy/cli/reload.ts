/** `zephyr reload`: asks the one that runs here to read its settings again. What comes of it, that one says. */
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { CAN_RELOAD, RELOAD_SIGNAL } from "../start/reload.ts";
import { readRunning } from "../start/running.ts";
import type { CommandResult } from "./adapters.ts";

/** @throws CodedError `not_running` where none runs on this data folder, or the system has no such signal */
export function reload({ DATA_DIR: dataDir }: Config): CommandResult {
  const running = readRunning(dataDir);
  if (running === undefined || !CAN_RELOAD) {
    const why = CAN_RELOAD
      ? `Nothing runs on the data folder ${dataDir}. Start it by npm start, which reads the settings, too.`
      : "Windows has no signal to ask by. Stop what runs, and start it again by npm start.";
    throw new CodedError(why, { code: "not_running" });
  }
  process.kill(running.pid, RELOAD_SIGNAL);
  return {
    result: { asked: running.pid },
    text: `Asked process ${running.pid} to read its settings again; it says itself what comes of it.`,
  };
}
