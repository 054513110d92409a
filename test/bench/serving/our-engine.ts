/** The engine as `npm start` runs it, in a process of its own, with checks and queue. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { type ServerProcess, serverProcess } from "./server-process.ts";

const MAIN = join(import.meta.dirname, "../../../engine/service/main.ts");
const listening = z.object({ event: z.literal("listening"), url: z.string() });

/** Starts it on a free port. @throws Error when it does not start */
export async function startOurEngine(options: {
  readonly modelPath: string;
  readonly streams: number;
  readonly contextTokens: number;
  readonly threads: number;
  readonly dataDir: string;
  readonly settings?: Readonly<Record<string, string>>;
}): Promise<ServerProcess> {
  const child = spawn(process.execPath, [MAIN, "--json"], {
    env: {
      ...process.env,
      MODEL: options.modelPath,
      STREAMS: String(options.streams),
      CONTEXT_TOKENS: String(options.contextTokens),
      THREADS: String(options.threads),
      DATA_DIR: options.dataDir,
      ENGINE_PORT: "0",
      ENGINE_API_KEY: "",
      ...options.settings,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.stdout === null) throw new Error("no pipe");
  const lines = createInterface({ input: child.stdout });
  const [first] = await Promise.race([once(lines, "line"), once(child, "exit")]);
  const { url } = listening.parse(JSON.parse(String(first)));
  return serverProcess(child, url);
}
