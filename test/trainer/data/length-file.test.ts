import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LengthFile } from "#trainer/data/length-file.ts";

const newPath = () => join(mkdtempSync(join(tmpdir(), "lengths-")), "lengths");

test("every number stands where it was added, whether it was written yet or not", () => {
  using file = new LengthFile(newPath());
  const numbers = Array.from({ length: 10_000 }, (_, i) => (i * 2654435761) >>> 0);
  for (const number of numbers) file.add(number);
  expect(file.count).toBe(10_000);
  expect(numbers.map((_, place) => file.at(place))).toEqual(numbers);
  expect(file.at(10_000)).toBe(0);
});

test("cleared, it begins anew with nothing of before", () => {
  using file = new LengthFile(newPath());
  for (let i = 0; i < 5_000; i++) file.add(7);
  file.clear();
  file.add(1);
  expect([file.count, file.at(0), file.at(1), file.at(4_500)]).toEqual([1, 1, 0, 0]);
});

test("it leaves nothing behind", () => {
  const path = newPath();
  {
    using file = new LengthFile(path);
    file.add(3);
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});
