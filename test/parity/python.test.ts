import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { missingPackages } from "./python.ts";

/** A program that answers whatever it is asked. */
function program(says: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "python-")), "python");
  writeFileSync(path, `#!/bin/sh\necho ${says}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("without Python, or without its packages, the comparison says what is missing and how to get it", () => {
  expect(missingPackages("/no/such/python")).toBe("/no/such/python does not start");
  const bare = program("torch trl");
  expect(missingPackages(bare)).toContain(`lacks torch, trl; install them by: ${bare} -m pip`);
  expect(missingPackages(program(""))).toBeUndefined();
});
