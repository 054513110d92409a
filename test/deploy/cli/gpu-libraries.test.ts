import { describe, expect, it } from "vitest";
import { missingGpuLibraries } from "#deploy/cli/gpu-libraries.ts";

const system = (names: readonly string[], hasNvidiaDriver = true) => ({
  platform: "linux" as const,
  hasNvidiaDriver,
  libraries: new Set(names),
});

describe("the GPU's libraries", () => {
  it("are complete with both of CUDA 13's, or both of CUDA 12's", () => {
    for (const version of ["12", "13"]) {
      const both = [`libcudart.so.${version}`, `libcublas.so.${version}`];
      expect(missingGpuLibraries(system(both))).toBeUndefined();
    }
  });

  it("are not asked for without an NVIDIA driver, or on other systems", () => {
    expect(missingGpuLibraries(system([], false))).toBeUndefined();
    expect(missingGpuLibraries({ ...system([]), platform: "darwin" })).toBeUndefined();
  });

  it("are named one by one where they are missing, with what to install", () => {
    const told = missingGpuLibraries(system(["libcudart.so.13", "libcublas.so.12"]));
    expect(told).toContain("libcublas.so.13 missing");
    expect(told).not.toContain("libcudart.so.13 and");
    expect(told).toContain("apt install cuda-cudart-13-0 libcublas-13-0");
    expect(missingGpuLibraries(system([]))).toContain("libcudart.so.13 and libcublas.so.13");
  });

  it("say whether Vulkan serves meanwhile", () => {
    expect(missingGpuLibraries(system(["libvulkan.so.1"]))).toContain("Until then Vulkan serves");
    expect(missingGpuLibraries(system([]))).toContain("libvulkan1");
  });
});
