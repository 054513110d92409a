/** By what encodings and figures of people's words are found again. */
import { type BinaryLike, createHash } from "node:crypto";
import type { KeyRing } from "./key-ring.ts";

/**
 * 32 bytes, the same for the same parts, which are taken one after the other.
 * @param keys the installation's; without them it is a plain hash, which is enough where nobody's words are kept apart
 */
export function contentKey(
  keys: Pick<KeyRing, "digest"> | undefined,
  ...parts: readonly BinaryLike[]
): Uint8Array {
  if (keys !== undefined) return keys.digest(...parts);
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
