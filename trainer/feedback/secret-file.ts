/**
 * A secret of 32 bytes in a file that only its owner may read, made on first use. It knows nothing of
 * what the secret is for.
 */
import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, rmSync } from "node:fs";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { CodedError, systemCode } from "#engine/base/errors.ts";

const SECRET_BYTES = 32;

/**
 * Reads the secret, or makes one where there is no file.
 * @param loss what is lost with another secret, for the message
 * @throws CodedError `config_invalid` when the file is damaged, `disk_full`, `not_writable`
 */
export function readSecret(path: string, loss: string): Buffer {
  const text = readIfThere(path) ?? makeSecret(path);
  if (/^[0-9a-f]{64}\n?$/.test(text)) return Buffer.from(text.trim(), "hex");
  throw new CodedError(
    `Expected 64 hex digits in ${path}, got something else. Restore it from a backup: ${loss}.`,
    { code: "config_invalid" },
  );
}

/** Two processes that start at once must agree: link(2) fails for the second, which then reads. */
function makeSecret(path: string): string {
  const draft = `${path}.${process.pid}.new`;
  writeFileAtomic(draft, `${randomBytes(SECRET_BYTES).toString("hex")}\n`);
  try {
    linkSync(draft, path);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(path, "utf8");
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
