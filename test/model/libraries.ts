/** The CPU build of the native libraries for tests; `platform-arch` packages of node-llama-cpp. */
import { join } from "node:path";
import { loadLibraries, type NativeLibraries } from "#engine/native/library.ts";

/** Loads the CPU libraries that the lockfile brought for this machine. */
export function cpuLibraries(): NativeLibraries {
  const name = process.platform === "darwin" ? macName() : `${platformName()}-${process.arch}`;
  const packages = join(import.meta.dirname, "../../node_modules/@node-llama-cpp");
  return loadLibraries(join(packages, name, "bins", name));
}

function platformName(): string {
  return process.platform === "win32" ? "win" : process.platform;
}

function macName(): string {
  return process.arch === "arm64" ? "mac-arm64-metal" : "mac-x64";
}
