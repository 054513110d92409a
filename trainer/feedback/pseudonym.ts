/**
 * Pseudonyms: a person's id goes into the log only as an HMAC under this installation's secret, so
 * that a copy of the log alone names nobody. It knows nothing of what the ids belong to.
 */
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { readSecret } from "./secret-file.ts";

/** Gives a person's id (a Discord snowflake) its pseudonym: 64 hex digits, the same each time. */
export type Pseudonymise = (personId: string) => string;

/**
 * Reads the installation's secret from `DATA_DIR/secret.key`, making it on first use.
 * @throws CodedError `config_invalid` when the file is damaged, `disk_full`
 */
export function openPseudonyms(dataDir: string): Pseudonymise {
  const secret = readSecret(
    join(dataDir, "secret.key"),
    "with another secret nobody's earlier votes are recognised as theirs",
  );
  return (personId) => createHmac("sha256", secret).update(personId).digest("hex");
}
