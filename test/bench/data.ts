/**
 * Memory and time of the data's way into training, for 1 k, 100 k and 1 M pairs, each in a process of its own:
 * started as the trainer is: reading JSON lines, encoding into a store, and a whole shuffled epoch. Takes minutes and about 2 GB of disk.
 *
 *   npm run bench:data -- [pairs …]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TRAINER_ENVIRONMENT, TRAINER_NODE_FLAGS } from "#deploy/start/trainer-process.ts";
import { writeDataFiles } from "./data-files.ts";

const CHILD = join(import.meta.dirname, "data-child.ts");
const given = process.argv.slice(2);
const counts = given.length > 0 ? given : ["1000", "100000", "1000000"];
const folder = mkdtempSync(join(tmpdir(), "zephyr-data-"));
try {
  process.stdout.write(
    "| pairs | tokens | peak RSS, MB | encode, s | encode again, s | epoch, s |\n",
  );
  process.stdout.write("|---|---|---|---|---|---|\n");
  for (const count of counts) {
    await writeDataFiles(folder, Number(count));
    const [first, again] = [measure(count), measure(count)];
    const peak = Math.max(first.peakMegabytes, again.peakMegabytes);
    const cells = [first.pairs, first.tokens, peak, first.encodeSeconds, again.encodeSeconds];
    process.stdout.write(`| ${[...cells, first.epochSeconds].join(" | ")} |\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

type Figures = Readonly<
  Record<"pairs" | "tokens" | "peakMegabytes" | "encodeSeconds" | "epochSeconds", number>
>;

function measure(count: string): Figures {
  const output = execFileSync(process.execPath, [...TRAINER_NODE_FLAGS, CHILD, count, folder], {
    encoding: "utf8",
    env: { ...process.env, ...TRAINER_ENVIRONMENT },
  });
  return JSON.parse(output.trim().split("\n").at(-1) ?? "");
}
