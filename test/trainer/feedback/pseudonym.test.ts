import { mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isCoded } from "#engine/base/errors.ts";
import { openPseudonyms } from "#trainer/feedback/pseudonym.ts";

function folder(): string {
  return mkdtempSync(join(tmpdir(), "pseudonym-"));
}

test("a person has the same pseudonym after a restart, and another one on another machine", () => {
  const here = folder();
  const pseudonym = openPseudonyms(here)("80351110224678912");
  expect(pseudonym).toMatch(/^[0-9a-f]{64}$/);
  expect(openPseudonyms(here)("80351110224678912")).toBe(pseudonym);
  expect(openPseudonyms(here)("80351110224678913")).not.toBe(pseudonym);
  expect(openPseudonyms(folder())("80351110224678912")).not.toBe(pseudonym);
});

test("the secret is one file that only its owner may read", () => {
  const here = folder();
  openPseudonyms(here);
  expect(readdirSync(here)).toEqual(["secret.key"]);
  expect(statSync(join(here, "secret.key")).mode & 0o077).toBe(0);
});

test("a damaged secret is refused, since a new one would orphan every vote", () => {
  const here = folder();
  writeFileSync(join(here, "secret.key"), "short");
  try {
    openPseudonyms(here);
    expect.unreachable();
  } catch (error) {
    expect(isCoded(error, "config_invalid")).toBe(true);
    expect(String(error)).toContain("backup");
  }
});
