import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explainWriteError, writeFileAtomic } from "#engine/base/atomic-file.ts";
import { isCoded } from "#engine/base/errors.ts";

test("an atomic write replaces the whole file and leaves nothing beside it", () => {
  const folder = mkdtempSync(join(tmpdir(), "atomic-"));
  const path = join(folder, "deep", "pointer.json");
  writeFileAtomic(path, "a longer first version");
  writeFileAtomic(path, "second");
  expect(readFileSync(path, "utf8")).toBe("second");
  expect(readdirSync(join(folder, "deep"))).toEqual(["pointer.json"]);
});

test("a write to the device that is always full fails as disk_full", () => {
  const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
  const explained = explainWriteError(full, "/data/x");
  expect(isCoded(explained, "disk_full")).toBe(true);
  expect(String(explained)).toContain("/data/x");
});

test("an unrelated error passes through unchanged", () => {
  const other = new Error("other");
  expect(explainWriteError(other, "/data/x")).toBe(other);
});
