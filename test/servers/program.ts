/**
 * Finds the programs of real servers (Debian's redis-server and postgresql) that tests start for themselves,
 * and says why a test is skipped without. `TEST_SERVERS=required` makes a missing one a failure.
 */
import { existsSync, globSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";

/** The program's path, or why there is none. */
export type FoundProgram =
  | { readonly path: string; readonly missing: undefined }
  | { readonly path: undefined; readonly missing: string };

/**
 * @param patterns of further places than PATH, as globs
 * @throws Error when it is missing but required
 */
export function findProgram(name: string, ...patterns: readonly string[]): FoundProgram {
  const inPath = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
  const path = [...inPath, ...patterns.flatMap((pattern) => globSync(pattern))].find(existsSync);
  if (path !== undefined) return { path, missing: undefined };
  const missing = `needs the program ${name}, which is not on this machine`;
  if (process.env["TEST_SERVERS"] === "required") throw new Error(missing);
  return { path: undefined, missing };
}

/** A port that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}
