import { defineConfig } from "vitest/config";
import { SummaryReporter } from "./test/reporting/summary-reporter.ts";

export default defineConfig({
  test: {
    reporters: ["default", new SummaryReporter()],
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/conformance/run-wide.ts"],
    // Native libraries keep state for each process, so files run in forks; two cores, two forks.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    env: { GGML_NO_BACKTRACE: "1" },
  },
});
