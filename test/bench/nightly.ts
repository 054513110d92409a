/**
 * Memory and time of all that a night does with its feedback beside the model's word and the training, for logs of 1 k,
 * 30 k and 300 k pairs, each in a process of its own, started as the trainer is. Takes minutes, most of them to write the logs.
 *
 *   npm run bench:nightly -- [pairs …]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TRAINER_ENVIRONMENT, TRAINER_NODE_FLAGS } from "#deploy/start/trainer-process.ts";
import { writeLog } from "./nightly-log.ts";

const CHILD = join(import.meta.dirname, "nightly-child.ts");
const given = process.argv.slice(2);
const counts = given.length > 0 ? given : ["1000", "30000", "300000"];
process.stdout.write(
  "| pairs in the log | pairs learnt from | answers left | peak RSS, MB | s |\n|---|---|---|---|---|\n",
);
for (const count of counts) {
  const folder = mkdtempSync(join(tmpdir(), "zephyr-nightly-"));
  try {
    writeLog(folder, Number(count));
    const output = execFileSync(process.execPath, [...TRAINER_NODE_FLAGS, CHILD, folder], {
      encoding: "utf8",
      env: { ...process.env, ...TRAINER_ENVIRONMENT },
    });
    const { pairs, left, peakMegabytes, seconds } = JSON.parse(output);
    process.stdout.write(`| ${[count, pairs, left, peakMegabytes, seconds].join(" | ")} |\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
