/**
 * Loads libggml and libllama from one folder, once for each process, and refuses any other release.
 * Everything native passes through here; it knows nothing of what the functions mean.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import koffi, { type KoffiFunc, type LibraryHandle } from "koffi";
import { forgoNativeBacktraces } from "../base/config.ts";
import { CodedError } from "../base/errors.ts";

/** The release of llama.cpp whose headers these bindings were written against. */
export const LLAMA_RELEASE = "v0.4.0";

/** The opened libraries of one build (CPU, CUDA, Vulkan or Metal). */
export type NativeLibraries = {
  readonly folder: string;
  /** libggml-base: tensors, graphs, gguf, backend interface. */
  readonly base: LibraryHandle;
  /** libggml: the registry of backends. */
  readonly ggml: LibraryHandle;
  /** libllama: models, contexts, batches, samplers. */
  readonly llama: LibraryHandle;
};

/** A C function bound by its declaration; `Args` and `Result` are what koffi takes and gives. */
export type NativeFunction<Args extends unknown[], Result> = KoffiFunc<(...args: Args) => Result>;

let loaded: NativeLibraries | undefined;

/**
 * Opens the libraries in `folder` and registers their backends. A second call with the same folder
 * returns the same libraries; two builds cannot share a process, since their symbols collide.
 * @param path a build folder of node-llama-cpp's platform package
 * @throws CodedError `library_missing`, `library_incompatible`
 */
export function loadLibraries(path: string): NativeLibraries {
  // node_modules may be reached through a link: the same build by another name is no second build.
  const folder = existsSync(path) ? realpathSync(path) : path;
  if (loaded !== undefined) {
    if (loaded.folder === folder) return loaded;
    throw new Error(
      `libraries of ${loaded.folder} are loaded already; ${folder} needs another process`,
    );
  }
  assertRelease(folder);
  forgoNativeBacktraces();
  const opened = openAll(folder);
  silence(opened);
  loadBackends(opened.ggml, folder);
  loaded = { folder, ...opened };
  return loaded;
}

/**
 * The libraries that another thread of this process has loaded: opened once more for this thread's koffi, their
 * backends and log as they are. They must stay loaded.
 * @throws CodedError `library_missing`
 */
export function attachLibraries(path: string): NativeLibraries {
  if (loaded === undefined) loaded = { folder: path, ...openAll(path) };
  if (loaded.folder === path) return loaded;
  throw new Error(`this thread uses libraries of ${loaded.folder}, not of ${path}`);
}

/** Awaits a bound function on one of koffi's worker threads, so that the event loop stays free. */
export function callAsync<Args extends unknown[], Result>(
  fn: NativeFunction<Args, Result>,
  ...args: Args
): Promise<Result> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error: unknown, result: Result) =>
      error === null || error === undefined ? resolve(result) : reject(error),
    );
  });
}

/** The last warnings and errors that were logged during `withNativeLog`, oldest first. */
export function recentNativeLog(): readonly string[] {
  return nativeLog;
}

/**
 * Runs synchronous native calls and keeps the warnings that they log, for a failure's message.
 * At all other times the libraries log nothing: a JavaScript callback called from a worker thread
 * waits for the event loop, which never turns again once the process exits, so it would hang there.
 */
export function withNativeLog<T>(libraries: NativeLibraries, work: () => T): T {
  nativeLog.length = 0;
  logTo(libraries, collector());
  try {
    return work();
  } finally {
    silence(libraries);
  }
}

const nativeLog: string[] = [];
const NATIVE_LOG_LINES = 20;
/** ggml.h, enum ggml_log_level */
const LOG_LEVEL_WARN = 3;
const LOG_LEVEL_CONTINUED = 5;

let registered: unknown;

function collector(): unknown {
  registered ??= koffi.register(
    (level: number, text: string) => {
      if (level < LOG_LEVEL_WARN || level === LOG_LEVEL_CONTINUED || text.trim() === "") return;
      nativeLog.push(text.trim());
      if (nativeLog.length > NATIVE_LOG_LINES) nativeLog.shift();
    },
    koffi.pointer(koffi.proto("void (int level, const char *text, void *user_data)")),
  );
  return registered;
}

/** ggml_time_init does nothing but note the timer's frequency on Windows: as a logger, it is silence. */
function silence({ base, llama }: Pick<NativeLibraries, "base" | "llama">): void {
  logTo({ base, llama }, base.symbol("ggml_time_init"));
}

/** ggml.h, ggml_log_set; llama.h, llama_log_set. */
function logTo({ base, llama }: Pick<NativeLibraries, "base" | "llama">, callback: unknown): void {
  base.func("void ggml_log_set(void *log_callback, void *user_data)")(callback, null);
  llama.func("void llama_log_set(void *log_callback, void *user_data)")(callback, null);
}

/**
 * Registers the backends in `folder`. Where the CUDA build's own does not load (it needs the CUDA 13 runtime),
 * the one for CUDA 12 is taken from the package beside it, as node-llama-cpp does.
 */
function loadBackends(ggml: LibraryHandle, folder: string): void {
  const load = ggml.func("void ggml_backend_load_all_from_path(const char *dir_path)");
  const count = ggml.func("size_t ggml_backend_reg_count()");
  load(folder);
  const name = basename(folder);
  const fallback = join(folder, "..", "..", "..", `${name}-ext`, "bins", name, "fallback");
  const cpuOnly = Number(count()) < 2;
  if (cpuOnly && existsSync(fallback)) load(fallback);
}

function openAll(folder: string): Omit<NativeLibraries, "folder"> {
  return {
    base: openLibrary(folder, /^(lib)?ggml-base\.(so|dylib|dll)$/),
    ggml: openLibrary(folder, /^(lib)?ggml(\.[a-z]+)?(\.v[\d.]+)?\.(so|dylib|dll)$/),
    llama: openLibrary(folder, /^(lib)?llama(\.[a-z]+)?(\.v[\d.]+)?\.(so|dylib|dll)$/),
  };
}

function openLibrary(folder: string, name: RegExp): LibraryHandle {
  const file = readdirSync(folder).find((candidate) => name.test(candidate));
  if (file === undefined) {
    throw new CodedError(
      `Expected a library matching ${name} in ${folder}, found none. Run "npm ci" again.`,
      {
        code: "library_missing",
      },
    );
  }
  try {
    return koffi.load(join(folder, file), { global: true });
  } catch (error) {
    throw new CodedError(
      `Could not load ${file}: ${String(error)}. Run "npx zephyr doctor", or set GPU=cpu.`,
      {
        code: "library_missing",
        cause: error,
      },
    );
  }
}

function assertRelease(folder: string): void {
  const release = readRelease(join(folder, "_nlcBuildMetadata.json"));
  if (release === LLAMA_RELEASE) return;
  throw new CodedError(
    `Expected llama.cpp ${LLAMA_RELEASE}, found ${release} in ${folder}. Struct layouts differ between releases: install the pinned node-llama-cpp with "npm ci".`,
    { code: "library_incompatible" },
  );
}

function readRelease(path: string): string {
  try {
    const metadata: { buildOptions?: { llamaCpp?: { release?: string } } } = JSON.parse(
      readFileSync(path, "utf8"),
    );
    return metadata.buildOptions?.llamaCpp?.release ?? "an unknown release";
  } catch {
    return "no build of node-llama-cpp";
  }
}
