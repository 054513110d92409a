/** The trainer as a child of the command line: `zephyr train`, and what else needs its native code. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "#engine/base/config.ts";
import { TRAINER_ENVIRONMENT, TRAINER_NODE_FLAGS } from "../start/trainer-process.ts";
import { EXIT } from "./outcome.ts";

const TRAINER = fileURLToPath(new URL("../../trainer/main.ts", import.meta.url));

/**
 * Runs the trainer until it ends: its memory and its native code end with it.
 * @param engineUrl where the engine is told of a new adapter
 * @returns its exit code
 */
export function runTrainer(flags: readonly string[], engineUrl: string): Promise<number> {
  const child = spawn(process.execPath, [...TRAINER_NODE_FLAGS, TRAINER, ...flags], {
    stdio: "inherit",
    env: childEnvironment({
      ...TRAINER_ENVIRONMENT,
      ENGINE_URL: engineUrl,
      DISCORD_TOKEN: "",
      DISCORD_TOKEN_FILE: "",
    }),
  });
  // Ctrl-C reaches the child by itself; it saves its place, and we wait for it.
  const wait = () => {};
  process.on("SIGINT", wait);
  const end = () => child.kill("SIGTERM");
  process.on("SIGTERM", end);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("SIGINT", wait);
      process.off("SIGTERM", end);
      resolve(code ?? EXIT.failed);
    });
  });
}
