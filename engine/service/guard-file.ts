/**
 * The guard that ships with the project (`GUARD_MODEL=nano`): how it is asked, and that its file is what was
 * measured. A guard with a damaged weight would load, and pass what it should not.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Config } from "../base/config.ts";
import { CodedError } from "../base/errors.ts";
import { BRIEF_GUARD, type GuardFormat, guardFormat } from "../moderation/guard-format.ts";

type GuardSettings = Pick<Config, "GUARD_MODEL" | "GUARD_FORMAT">;

/** Whether the settings ask for the shipped guard. */
export function isShippedGuard({ GUARD_MODEL: name }: Pick<Config, "GUARD_MODEL">): boolean {
  return name === "nano";
}

/** How the guard is asked: the shipped one knows one format, whatever GUARD_FORMAT says. */
export function formatOfGuard(settings: GuardSettings): GuardFormat {
  return isShippedGuard(settings) ? BRIEF_GUARD : guardFormat(settings.GUARD_FORMAT);
}

/**
 * Compares the shipped guard's file with the hash in the SHA256SUMS beside it.
 * @throws CodedError `model_invalid` where they differ or there is no hash; `model_missing` where there is no file
 */
export function checkShippedGuard(path: string): void {
  const sums = read(join(dirname(path), "SHA256SUMS")).toString();
  const expected = new RegExp(`^([0-9a-f]{64})  ${basename(path)}$`, "m").exec(sums)?.[1];
  const actual = createHash("sha256").update(read(path)).digest("hex");
  if (actual === expected) return;
  throw new CodedError(
    `GUARD_MODEL: ${path} should have the sha256 ${expected ?? "in SHA256SUMS"}; it has ${actual}. Check the project out again ("git checkout deploy/models"), or name another guard.`,
    { code: "model_invalid" },
  );
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CodedError(
      `GUARD_MODEL: could not read ${path}. Check the project out again ("git checkout deploy/models"), or name another guard.`,
      { code: "model_missing", cause: error },
    );
  }
}
