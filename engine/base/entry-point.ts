/**
 * How every process of the project ends when something fails: one clear message, and for a supervisor
 * one JSON line on stdout, `{"event":"error","service","code","message"}`. Knows no services.
 */
import { CodedError } from "./errors.ts";

/**
 * Runs an entry point's work and sets the process's exit code: what `work` returns (0 when nothing),
 * or 1 after a failure. Stack traces are for mistakes of ours; an expected failure gets its message.
 * @param json whether stdout carries JSON lines
 */
export async function runEntryPoint(
  service: string,
  json: boolean,
  // biome-ignore lint/suspicious/noConfusingVoidType: most entry points return nothing
  work: () => Promise<number | void>,
): Promise<void> {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    process.exitCode = 1;
    reportFailure(service, json, error);
  }
}

/** Prints a failure as `runEntryPoint` does, for those that come up outside its `work`. */
export function reportFailure(service: string, json: boolean, error: unknown): void {
  const isExpected = error instanceof CodedError;
  const message = error instanceof Error ? error.message : String(error);
  const code = isExpected ? error.code : "internal_error";
  if (json) {
    process.stdout.write(`${JSON.stringify({ event: "error", service, code, message })}\n`);
  }
  if (isExpected) process.stderr.write(`${message} (${code})\n`);
  else process.stderr.write(`${error instanceof Error ? (error.stack ?? message) : message}\n`);
}
