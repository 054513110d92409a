/** A real Redis of a test's own: on a free port, in a folder of its own, writing before it answers. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, freePort } from "./program.ts";

/** The program, or why tests that need it are skipped. */
export const REDIS = findProgram("redis-server");

const START_TRIES = 200;
const PAUSE_MS = 25;

/** A Redis that a test may kill and start again on the same port and data. */
export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  /** @param running false: it is prepared, but away until `start` */
  static async open(running = true): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), mkdtempSync(join(tmpdir(), "redis-")));
    if (running) await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    if (REDIS.path === undefined) throw new Error(REDIS.missing);
    const options = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder];
    const durable = ["--appendonly", "yes", "--appendfsync", "no", "--save", ""];
    this.#child = spawn(REDIS.path, [...options, ...durable], { stdio: "ignore" });
    for (let tries = 0; !(await answers(this.port)); tries++) {
      if (tries === START_TRIES) throw new Error("redis-server did not start");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** As a crash does. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** From now on it takes connections and answers nothing, as on a machine that swaps. */
  hang(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** What it took meanwhile is answered. */
  goOn(): void {
    this.#child?.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Answers PING with PONG once its data is loaded. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.once("data", (data) => {
      socket.destroy();
      resolve(String(data).startsWith("+PONG"));
    });
    socket.once("error", () => resolve(false));
  });
}
