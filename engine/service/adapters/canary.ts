/** Which guilds an adapter on trial answers. Pure: the same guild is always on the same side of the same trial. */
import { createHash } from "node:crypto";
import type { Canary } from "../../adapters/pointer.ts";

const HASH_RANGE = 2 ** 32;

/**
 * Whether the canary answers this guild. The adapter's name is part of the hash, so that it is not always the
 * same guilds that try what is new.
 * @param guild empty for conversations outside of guilds, which are never part of a trial
 */
export function isOnTrial({ name, share }: Canary, guild: string): boolean {
  if (guild === "") return false;
  const hash = createHash("sha256").update(`${name}\n${guild}`).digest();
  return hash.readUInt32BE() / HASH_RANGE < share;
}
