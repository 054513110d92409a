import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pairsOfFile } from "#trainer/data/pair-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pairs-"));

function fileOf(text: string): string {
  const path = join(folder, "pairs.jsonl");
  writeFileSync(path, text);
  return path;
}

const line = (id: string, content: string) =>
  JSON.stringify({ id, prompt: [{ role: "user", content }], chosen: "a", rejected: "b" });

test("pairs are read line by line, whatever the lines' lengths and characters, as often as wanted", () => {
  // Longer than a read, and with characters of several bytes that a read may cut apart.
  const contents = ["x", "ü😀".repeat(40_000), "last"];
  const text = contents.map((content, i) => line(`p${i}`, content)).join("\n");
  const pairs = pairsOfFile(fileOf(text));
  for (let round = 0; round < 2; round++) {
    expect([...pairs].map(({ prompt }) => prompt[0]?.content)).toEqual(contents);
  }
  expect([...pairs][0]).toMatchObject({ id: "p0", weight: 1 });
});

test("a line that is no pair is named", () => {
  const path = fileOf(`${line("p0", "x")}\n\n{"id": "p1"}\n`);
  const pairs = pairsOfFile(path)[Symbol.iterator]();
  expect(pairs.next().value).toMatchObject({ id: "p0" });
  expect(() => pairs.next()).toThrow(/line 3 of .*pairs\.jsonl/);
});
