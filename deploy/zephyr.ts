#!/usr/bin/env node
/**
 * The `zephyr` command. It only checks that this Node.js can load the rest: `npx zephyr` finds the
 * Node 24 that the lockfile brings on Linux, other systems must have one.
 */
import { argv, exit, stderr, versions } from "node:process";

const NODE_NEEDED = 24;

if (Number.parseInt(versions.node, 10) < NODE_NEEDED) {
  stderr.write(
    `zephyr needs Node.js ${NODE_NEEDED} or later; this is ${versions.node}. Run it by "npx zephyr" in the project's folder after "npm ci", which brings Node.js ${NODE_NEEDED} on Linux, or install it from https://nodejs.org.\n`,
  );
  exit(1);
}
const { runCommand } = await import("./cli/program.ts");
await runCommand(argv);
