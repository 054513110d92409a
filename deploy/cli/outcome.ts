/** How a command ends: what it prints and with which exit code. It knows no commands. */
import { CodedError, type ErrorCode } from "#engine/base/errors.ts";

/** Exit codes, which scripts rely on. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2, refusedByGate: 3 } as const;

/** One of the exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const WRONG_USE: readonly ErrorCode[] = ["adapter_name_invalid", "config_invalid"];

/** The exit code for a failure. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof CodedError)) return EXIT.failed;
  if (error.code === "gate_refused") return EXIT.refusedByGate;
  return WRONG_USE.includes(error.code) ? EXIT.wrongUse : EXIT.failed;
}

/** Prints a result: as one JSON line, or as text for people. */
export function printResult(json: boolean, result: object, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${text.trimEnd()}\n`);
}

/** Prints a failure: on stdout as one JSON line, or on stderr for people. */
export function printFailure(json: boolean, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (json) {
    const code = error instanceof CodedError ? error.code : "internal_error";
    process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
    return;
  }
  // What the system refused is nobody's mistake here: its message names the path.
  const isMistake =
    error instanceof Error && !(error instanceof CodedError) && !("syscall" in error);
  process.stderr.write(`${isMistake ? (error.stack ?? message) : message}\n`);
}

/** Rows in columns, as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
