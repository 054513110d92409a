/**
 * llama-server of the very release that the engine's libraries come from, built once from the source that
 * node-llama-cpp carries into a cache folder outside the project: nothing is downloaded.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LLAMA_RELEASE } from "#engine/native/library.ts";
import { type ServerProcess, serverProcess } from "./server-process.ts";

const run = promisify(execFile);
const BUNDLE = join(
  dirname(fileURLToPath(import.meta.resolve("node-llama-cpp"))),
  "../llama/gitRelease.bundle",
);
/** For this machine alone, without what a benchmark on loopback has no use for. */
const OPTIONS = {
  CMAKE_BUILD_TYPE: "Release",
  BUILD_SHARED_LIBS: "OFF",
  GGML_NATIVE: "ON",
  LLAMA_OPENSSL: "OFF",
  LLAMA_BUILD_TESTS: "OFF",
  LLAMA_BUILD_EXAMPLES: "OFF",
  LLAMA_BUILD_APP: "OFF",
  LLAMA_BUILD_UI: "OFF",
  LLAMA_USE_PREBUILT_UI: "OFF",
};

/**
 * The program's path, after building it if need be, which takes a quarter of an hour on two cores.
 * @throws Error when git, cmake or a compiler is missing or fails; the build's own last words are in it
 */
export async function buildLlamaServer(tell: (text: string) => void): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "zephyr-community", "llama-server", LLAMA_RELEASE);
  const [source, build] = [join(folder, "source"), join(folder, "build")];
  const program = join(
    build,
    "bin",
    process.platform === "win32" ? "llama-server.exe" : "llama-server",
  );
  if (existsSync(program)) return program;
  tell(`Building llama-server ${LLAMA_RELEASE} in ${folder}, once; a quarter of an hour or so.`);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(source, "CMakeLists.txt"))) {
    rmSync(source, { recursive: true, force: true });
    await run("git", ["clone", "--quiet", "--depth", "1", BUNDLE, source]);
  }
  const options = Object.entries(OPTIONS).map(([name, value]) => `-D${name}=${value}`);
  await run("cmake", ["-S", source, "-B", build, ...options], { maxBuffer: 1 << 26 });
  const jobs = ["-j", String(availableParallelism())];
  await new Promise<void>((resolve, reject) => {
    const args = ["--build", build, "--target", "llama-server", "--config", "Release", ...jobs];
    const child = spawn("cmake", args, { stdio: ["ignore", "ignore", "inherit"] });
    child.once("error", reject);
    child.once("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`cmake --build ended with ${code}`)),
    );
  });
  return program;
}

/** Starts it with as many slots as streams, each with the same context; the rest is its default. */
export async function startLlamaServer(
  program: string,
  options: {
    readonly modelPath: string;
    readonly streams: number;
    readonly contextTokens: number;
    readonly threads: number;
  },
): Promise<ServerProcess> {
  const port = await freePort();
  const threads = String(options.threads);
  const child = spawn(
    program,
    [
      ...["--model", options.modelPath, "--host", "127.0.0.1", "--port", String(port)],
      ...["--parallel", String(options.streams), "--no-webui", "--offline"],
      ...["--ctx-size", String(options.streams * options.contextTokens)],
      ...["--threads", threads, "--threads-batch", threads],
      // Random weights write what its parser of reasoning and tool calls takes for malformed.
      "--skip-chat-parsing",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  return serverProcess(child, `http://127.0.0.1:${port}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
