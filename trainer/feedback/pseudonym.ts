/**
 * Pseudonyms: a person's id goes into the log only as an HMAC under this installation's secret, so
 * that a copy of the log alone names nobody. It knows nothing of what the ids belong to.
 */
import { createHmac, randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { CodedError, systemCode } from "#engine/base/errors.ts";

const SECRET_BYTES = 32;

/** Gives a person's id (a Discord snowflake) its pseudonym: 64 hex digits, the same each time. */
export type Pseudonymise = (personId: string) => string;

/**
 * Reads the installation's secret from `DATA_DIR/secret.key`, making it on first use.
 * @throws CodedError `config_invalid` when the file is damaged, `disk_full`
 */
export function openPseudonyms(dataDir: string): Pseudonymise {
  const secret = readSecret(join(dataDir, "secret.key"));
  return (personId) => createHmac("sha256", secret).update(personId).digest("hex");
}

function readSecret(path: string): Buffer {
  const text = readIfThere(path) ?? makeSecret(path);
  if (/^[0-9a-f]{64}\n?$/.test(text)) return Buffer.from(text.trim(), "hex");
  throw new CodedError(
    `Expected 64 hex digits in ${path}, got something else. Restore it from a backup: with another secret nobody's earlier votes are recognised as theirs.`,
    { code: "config_invalid" },
  );
}

/** Two processes that start at once must agree: link(2) fails for the second, which then reads. */
function makeSecret(path: string): string {
  const draft = `${path}.${process.pid}.new`;
  mkdirSync(join(path, ".."), { recursive: true });
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
