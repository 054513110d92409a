/** Ends a test run with one plain line, `N passed, N failed, N skipped`, for scripts that read it. */
import type { Reporter, TestModule } from "vitest/node";

/** Counts test cases; knows nothing of how they are shown. */
export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      if (!module.ok() && module.errors().length > 0) count.failed += 1;
      for (const test of module.children.allTests()) count[test.result().state] += 1;
    }
    const skipped = count.skipped + count.pending;
    // Written when the process ends, after whatever other reporters still have to say.
    process.once("exit", () =>
      process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${skipped} skipped\n`),
    );
  }
}
