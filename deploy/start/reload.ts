/**
 * Which settings may change while everything runs. Processes read theirs when they start, so a reload starts engine
 * and bot again, one after the other; what others were told at the start cannot change under them.
 */
import type { Config } from "#engine/base/config.ts";

/** What asks a running `npm start` to read its settings again. */
export const RELOAD_SIGNAL = "SIGUSR2";
/** Windows has no such signal. */
export const CAN_RELOAD = process.platform !== "win32";

/** Where processes find each other and their data, and what the supervisor itself goes by. */
const FIXED = [
  "DATA_DIR",
  "ENGINE_HOST",
  "ENGINE_PORT",
  "ENGINE_URL",
  "PLAYGROUND_HOST",
  "PLAYGROUND_PORT",
  "TRAIN_AT",
] as const satisfies readonly (keyof Config)[];

/** The changed settings that only a whole restart takes up; empty where a reload does. */
export function needingRestart(before: Config, after: Config): readonly string[] {
  const changed: string[] = FIXED.filter((name) => before[name] !== after[name]);
  // Another token is read by the bot; one more or less changes what is to run.
  const hadToken = before.DISCORD_TOKEN !== undefined;
  if (hadToken !== (after.DISCORD_TOKEN !== undefined)) changed.push("DISCORD_TOKEN");
  return changed;
}
