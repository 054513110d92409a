/** `zephyr start` as a process of its own, for the tests of the whole. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ZEPHYR = join(import.meta.dirname, "../../../deploy/zephyr.ts");

/** A line that it printed with --json. */
export type Line = Readonly<Record<string, unknown>>;

/** A started supervisor. */
export type RunningZephyr = {
  readonly process: ChildProcess;
  /** Every line so far. */
  readonly lines: readonly Line[];
  /** The next line, past or future, that fits; rejects when the process ends before it comes. */
  until(fits: (line: Line) => boolean): Promise<Line>;
  /** What it wrote to stderr so far. */
  stderr(): string;
  /** Sends SIGINT twice, as Ctrl-C does under npm, and waits for the end. */
  stop(): Promise<number | null>;
  readonly exited: Promise<number | null>;
};

/** Starts `zephyr start --json` with these settings over the environment, in a folder that may hold a `.env`. */
export function startZephyr(
  settings: Readonly<Record<string, string>>,
  cwd?: string,
): RunningZephyr {
  const child = spawn(process.execPath, [ZEPHYR, "start", "--json"], {
    env: { ...process.env, LOG_LEVEL: "warn", ...settings },
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.stdout === null || child.stderr === null) throw new Error("no pipes");
  const lines: Line[] = [];
  let stderr = "";
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const output = createInterface({ input: child.stdout });
  output.on("line", (text) => {
    lines.push(JSON.parse(text));
    wake();
  });
  const exited = Promise.all([once(child, "exit"), once(output, "close")]).then(() => {
    wake();
    return child.exitCode;
  });
  return {
    process: child,
    lines,
    exited,
    stderr: () => stderr,
    until: (fits) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const line = lines.find(fits);
          if (line !== undefined) resolve(line);
          else if (child.exitCode !== null) reject(new Error(`it ended: ${stderr}`));
          else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      }),
    stop: () => {
      child.kill("SIGINT");
      child.kill("SIGINT");
      return exited;
    },
  };
}

/** How a command ended, and what it wrote. */
type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs another `zephyr` command to its end. */
export function runZephyr(
  settings: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Ended> {
  return runZephyrIn(process.cwd(), settings, ...args);
}

/** The same in another folder, whose `.env` it reads. */
export async function runZephyrIn(
  folder: string,
  settings: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Ended> {
  const child = spawn(process.execPath, [ZEPHYR, ...args], {
    cwd: folder,
    env: { ...process.env, ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  return { code, stdout, stderr };
}
