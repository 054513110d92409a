/** The gate's report for people. Pure; it decides nothing. */
import type { GateCheck, GateVerdict } from "./decide.ts";

/** The report as Markdown. @param name the adapter's @param leftOut what feedback did not go in, and why */
export function formatReport(name: string, verdict: GateVerdict, leftOut: string): string {
  const rows = verdict.checks.map(
    (check) =>
      `| ${check.passed ? "pass" : "**FAIL**"} | ${check.what} | ${show(check, check.value)} | ${check.bound} ${show(check, check.threshold)} | ${check.detail} |`,
  );
  return [
    `# Gate of ${name}: ${verdict.passed ? "passed" : "refused"}`,
    "",
    "| | Figure | Measured | Threshold | From |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    ...verdict.notes.map((note) => `- ${note}`),
    `- ${leftOut}.`,
    "",
  ].join("\n");
}

/** The checks that failed, as a sentence for people. */
export function describeFailures(verdict: GateVerdict): string {
  return verdict.checks
    .filter(({ passed }) => !passed)
    .map(
      (check) =>
        `${check.what}: ${show(check, check.value)}, needs ${check.bound} ${show(check, check.threshold)} (${check.detail})`,
    )
    .join("; ");
}

function show({ unit }: GateCheck, value: number): string {
  return unit === "share" ? `${(value * 100).toFixed(1)}%` : value.toFixed(3);
}
