/**
 * One child process of ours: spawned, listened to by its JSON lines, ended in order.
 * It knows nothing of what the child does, nor when to start it again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "#engine/base/config.ts";
import { parseLogLine } from "./log-lines.ts";

/** What to run. */
export type ChildSpec = {
  readonly name: string;
  /** Path of the entry point, from the project's root; it runs in the folder where zephyr was started. */
  readonly entry: string;
  readonly args: readonly string[];
  /** Node's own flags. */
  readonly nodeFlags?: readonly string[];
  /** Changes to this process's environment; an empty value unsets a setting. */
  readonly env: Readonly<Record<string, string>>;
};

/** A line that a child printed as JSON: `event` says what happened. */
export type ChildLine = { readonly event: string } & Readonly<Record<string, unknown>>;

/** How a child ended. */
export type ChildExit = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why, in one message: the child's own last error, or the last lines of its stderr. */
  readonly message: string;
  /** The error code that the child named, such as `discord_token_invalid`. */
  readonly errorCode: string | undefined;
  readonly ranForMs: number;
};

/** A running child. */
export type RunningChild = {
  readonly pid: number | undefined;
  readonly exited: Promise<ChildExit>;
  /** Asks it to end; after the grace time it is killed. */
  stop(graceMs: number): Promise<ChildExit>;
  kill(): void;
};

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What each process of ours loads first, so that none outlives the one that started it. */
export const FOLLOW_PARENT = new URL("follow-parent.ts", import.meta.url).href;
/** The end of stderr that is kept to explain an exit. */
const STDERR_KEPT_CHARACTERS = 4_000;
/** A line longer than this is no message of ours; it is dropped, so that memory stays bounded. */
const LINE_LIMIT_CHARACTERS = 1 << 20;
/** pino's level for errors */
const LOGGED_ERROR = 50;

/**
 * Starts a child in a process group of its own, so that Ctrl-C reaches only the supervisor, which then
 * ends its children in order.
 * @param onLine each JSON line of its stdout
 * @param onLog each line of its stderr
 */
export function startChild(
  spec: ChildSpec,
  onLine: (line: ChildLine) => void,
  onLog: (line: string) => void,
): RunningChild {
  const flags = [...(spec.nodeFlags ?? []), "--import", FOLLOW_PARENT];
  const args = [...flags, resolve(ROOT, spec.entry), ...spec.args];
  const child = spawn(process.execPath, args, {
    env: childEnvironment(spec.env),
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  return watchChild(child, spec.name, onLine, onLog);
}

/** How a child is started: `startChild`, or another way to the same. */
export type StartChild = typeof startChild;

/** Listens to a child that was just spawned with its streams on pipes, as `startChild` does. */
export function watchChild(
  child: ChildProcess,
  name: string,
  onLine: (line: ChildLine) => void,
  onLog: (line: string) => void,
): RunningChild {
  const startedAt = performance.now();
  let failure: ChildLine | undefined;
  let stderr = "";
  eachLine(child.stdout, (text) => {
    const line = parseLine(text);
    if (line === undefined) return;
    if (isFailure(line)) failure = line;
    onLine(line);
  });
  eachLine(child.stderr, (line) => {
    stderr = `${stderr}${line}\n`.slice(-STDERR_KEPT_CHARACTERS);
    onLog(line);
  });
  // The pipe only tells the child that we live; the child may close it first.
  child.stdin?.on("error", () => {});
  const exited = new Promise<ChildExit>((settle) => {
    const end = (code: number | null, signal: NodeJS.Signals | null, why?: string) =>
      settle({
        code,
        signal,
        message: why ?? explainExit(name, code, signal, failure, stderr),
        errorCode: typeof failure?.["code"] === "string" ? failure["code"] : undefined,
        ranForMs: performance.now() - startedAt,
      });
    child.once("close", end);
    child.once("error", (error) => end(null, null, `${name} could not start: ${error.message}`));
  });
  return {
    pid: child.pid,
    exited,
    stop: (ms) => stop(child, exited, ms),
    kill: () => child.kill("SIGKILL"),
  };
}

async function stop(
  child: ChildProcess,
  exited: Promise<ChildExit>,
  graceMs: number,
): Promise<ChildExit> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  try {
    return await exited;
  } finally {
    clearTimeout(timer);
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  if (stream === null) throw new Error("expected the child's output on pipes");
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_LIMIT_CHARACTERS) rest = "";
    for (const line of lines) onLine(line);
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}

function parseLine(line: string): ChildLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isLine(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isLine(value: unknown): value is ChildLine {
  return (
    typeof value === "object" &&
    value !== null &&
    "event" in value &&
    typeof value.event === "string"
  );
}

function isFailure(line: ChildLine): boolean {
  return ["error", "failed", "fatal"].includes(line.event) && typeof line["message"] === "string";
}

function explainExit(
  name: string,
  code: number | null,
  signal: NodeJS.Signals | null,
  failure: ChildLine | undefined,
  stderr: string,
): string {
  if (typeof failure?.["message"] === "string") return failure["message"];
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  const said = lastErrorIn(stderr);
  return said === undefined ? `The ${name} ${how}.` : `The ${name} ${how}: ${said}`;
}

/** The last error of a log, or its last line of plain text. */
function lastErrorIn(stderr: string): string | undefined {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  for (const line of lines.toReversed()) {
    const logged = parseLogLine(line);
    if (logged === undefined) return line.trim();
    if (logged.level >= LOGGED_ERROR) return logged.message;
  }
  return undefined;
}
