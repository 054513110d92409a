/** Runs a recipe's quick form as people do, as a process of its own. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { join } from "node:path";

/** The project's folder. */
export const ROOT = join(import.meta.dirname, "../../..");
const TIMEOUT_MS = 100_000;

/**
 * Runs it to its end.
 * @param script within the trainer's folder
 * @param folder gets `out` and `runs`
 */
export function runQuick(script: string, folder: string): SpawnSyncReturns<string> {
  const folders = ["--out", join(folder, "out"), "--runs", join(folder, "runs")];
  const args = [join(ROOT, "trainer", script), "--quick", "--threads", "1", ...folders];
  return spawnSync(process.execPath, args, { encoding: "utf8", timeout: TIMEOUT_MS });
}
