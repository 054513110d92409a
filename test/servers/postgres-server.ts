/** A real Postgres of a test's own: a cluster in a folder of its own, on a free port. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { findProgram, freePort } from "./program.ts";

/** The program that makes clusters; the others lie beside it. Why tests are skipped, where it is missing. */
export const POSTGRES = findProgram("initdb", "/usr/lib/postgresql/*/bin/initdb");

const START_TRIES = 200;
const PAUSE_MS = 50;

/** Postgres refuses to run as root: there it runs as Debian's own user for it. */
type User = { readonly uid?: number; readonly gid?: number };

/** A Postgres that a test may kill and start again. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #user: User;
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string, user: User) {
    this.port = port;
    this.#folder = folder;
    this.#user = user;
  }

  static async open(): Promise<PostgresServer> {
    if (POSTGRES.path === undefined) throw new Error(POSTGRES.missing);
    const folder = mkdtempSync(join(tmpdir(), "postgres-"));
    const user = userOf();
    if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
    const made = [
      "-D",
      join(folder, "data"),
      "-U",
      "zephyr",
      "-A",
      "trust",
      "--no-sync",
      "-E",
      "UTF8",
    ];
    execFileSync(POSTGRES.path, made, { ...user, cwd: folder, stdio: "pipe" });
    const server = new PostgresServer(await freePort(), folder, user);
    await server.start();
    return server;
  }

  get url(): string {
    return `postgres://zephyr@127.0.0.1:${this.port}/postgres`;
  }

  async start(): Promise<void> {
    const program = join(dirname(POSTGRES.path ?? ""), "postgres");
    const options = ["-D", join(this.#folder, "data"), "-p", String(this.port), "-k", this.#folder];
    const quick = ["-h", "127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB"];
    this.#child = spawn(program, [...options, ...quick], {
      ...this.#user,
      cwd: this.#folder,
      stdio: "ignore",
    });
    for (let tries = 0; !(await answers(this.url)); tries++) {
      if (tries === START_TRIES) throw new Error("postgres did not start");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Ends it at once, as a crash does (SIGQUIT ends its children, too). */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGQUIT");
    await once(child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

function userOf(): User {
  if (process.getuid?.() !== 0) return {};
  const idOf = (option: string) =>
    Number(execFileSync("id", [option, "postgres"], { encoding: "utf8" }));
  return { uid: idOf("-u"), gid: idOf("-g") };
}
