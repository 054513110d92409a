import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explainWriteError, makeFolder, writeFileAtomic } from "#engine/base/atomic-file.ts";
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

test("a folder below a file fails as not_writable and names the path and the reason", () => {
  const file = join(mkdtempSync(join(tmpdir(), "atomic-")), "file");
  writeFileSync(file, "");
  const make = () => makeFolder(join(file, "folder"));
  expect(make).toThrow(expect.objectContaining({ code: "not_writable" }));
  expect(make).toThrow(/file\/folder cannot be written: a part of that path is a file/);
  expect(() => makeFolder(file)).toThrow(/a file is in its place/);
});

test.runIf(process.platform === "linux")(
  "a folder where the system has no place for one fails as not_writable instead of never returning",
  () => {
    for (const path of ["/proc/zephyr", "/proc/zephyr/deep/er"]) {
      const make = () => makeFolder(path);
      expect(make).toThrow(expect.objectContaining({ code: "not_writable" }));
      expect(make).toThrow(/\/proc\/zephyr.* cannot be written: there is no such place/);
    }
  },
);

test("folders that are missing are made, each with the mode, and those that are there stay", () => {
  const root = mkdtempSync(join(tmpdir(), "atomic-"));
  makeFolder(join(root, "one", "two", "three"), 0o700);
  makeFolder(join(root, "one", "two"), 0o755);
  const modes = ["one", "one/two", "one/two/three"].map((name) => statSync(join(root, name)).mode);
  expect(modes.map((mode) => mode & 0o777)).toEqual([0o700, 0o700, 0o700]);
});
