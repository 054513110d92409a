/** Reads a table of labelled prompts in CSV (RFC 4180), as XSTest is published. It judges nothing. */
import type { GuardCase } from "./evaluation.ts";

/** A field with its end: quoted, where quotes inside are doubled, or bare. */
const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;

/**
 * The prompts as conversations of one turn.
 * @throws Error where the columns `prompt` and `label` are missing, or a label is neither `safe` nor `unsafe`
 */
export function readPromptTable(csv: string): readonly GuardCase[] {
  const [head = [], ...rows] = readRows(csv);
  const [prompt, label] = [head.indexOf("prompt"), head.indexOf("label")];
  if (prompt < 0 || label < 0) {
    throw new Error(`expected the columns prompt and label, got ${head.join(", ")}`);
  }
  return rows.map((row) => {
    const verdict = row[label];
    if (verdict !== "safe" && verdict !== "unsafe") {
      throw new Error(`expected the label safe or unsafe, got ${JSON.stringify(verdict)}`);
    }
    return {
      turns: [{ role: "user", content: row[prompt] ?? "" }],
      unsafe: verdict === "unsafe",
    };
  });
}

function readRows(csv: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, bare = "", end] of csv.trimEnd().matchAll(FIELD)) {
    row.push(quoted?.replaceAll('""', '"') ?? bare);
    if (end === ",") continue;
    rows.push(row);
    row = [];
    if (end === "") break;
  }
  return rows;
}
