/** Which of CUDA's and Vulkan's runtime libraries the system has, and what to install. It loads none. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** What there is. */
export type GpuSystem = {
  readonly platform: NodeJS.Platform;
  readonly hasNvidiaDriver: boolean;
  /** File names of shared libraries that the loader knows, such as `libcudart.so.13`. */
  readonly libraries: ReadonlySet<string>;
};

/** node-llama-cpp's CUDA builds: the first needs version 13, its fallback version 12. */
const CUDA_VERSIONS = ["13", "12"] as const;
const CUDA_LIBRARIES = ["libcudart.so", "libcublas.so"] as const;

/**
 * What to say of the GPU's libraries.
 * @returns undefined where nothing is missing, or no NVIDIA driver asks for it
 */
export function missingGpuLibraries(system: GpuSystem): string | undefined {
  if (system.platform !== "linux" || !system.hasNvidiaDriver) return undefined;
  const missingOf = (version: string) =>
    CUDA_LIBRARIES.map((name) => `${name}.${version}`).filter(
      (name) => !system.libraries.has(name),
    );
  if (CUDA_VERSIONS.some((version) => missingOf(version).length === 0)) return undefined;
  const [newest] = CUDA_VERSIONS;
  const instead = system.libraries.has("libvulkan.so.1")
    ? "Until then Vulkan serves, which is slower."
    : "Vulkan would serve without it, but libvulkan.so.1 is missing, too (apt install libvulkan1).";
  return `An NVIDIA driver is there, but CUDA's runtime is not whole: ${missingOf(newest).join(" and ")} missing (or version 12 of both). Install it from NVIDIA's repository: apt install cuda-cudart-13-0 libcublas-13-0. ${instead}`;
}

/** This machine. */
export function gpuSystem(): GpuSystem {
  return {
    platform: process.platform,
    hasNvidiaDriver: existsSync("/proc/driver/nvidia/version"),
    libraries: process.platform === "linux" ? loaderLibraries() : new Set(),
  };
}

/** The names in the loader's cache; none where there is no ldconfig. */
function loaderLibraries(): ReadonlySet<string> {
  try {
    const listed = execFileSync("/sbin/ldconfig", ["-p"], { encoding: "utf8", timeout: 10_000 });
    return new Set([...listed.matchAll(/^\s+(\S+\.so\S*)\s/gm)].map(([, name = ""]) => name));
  } catch {
    return new Set();
  }
}
