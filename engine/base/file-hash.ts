/**
 * What a file holds, as a sha256. Links are followed: for files that whoever runs this names (models), not for
 * the registry's, which refuses links (engine/adapters/files.ts).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";

const PIECE_BYTES = 1 << 20;

/** The sha256 of a file, hex, read in pieces off the event loop. Rejects with the system's error. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash);
  return hash.digest("hex");
}
