import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type BuildSurroundings, chooseBuild } from "#engine/llama/gpu-build.ts";

/** A machine with these GPU kinds' drivers, whose builds see these GPUs. */
function machine(
  gpus: Partial<Record<string, readonly string[]>>,
  more: Partial<BuildSurroundings> = {},
): BuildSurroundings {
  return {
    supportedKinds: async () =>
      (["cuda", "vulkan", "metal"] as const).filter((kind) => kind in gpus),
    findFolder: (kind) => `/builds/${kind}`,
    probe: async (folder) => {
      const found = gpus[folder.replace("/builds/", "")] ?? [];
      return found.length > 0
        ? { gpus: found }
        : { gpus: [], problem: "libcudart.so.13: not found" };
    },
    hasNvidiaDriver: () => false,
    ...more,
  };
}

describe("chooseBuild", () => {
  test("takes the fastest kind that sees a GPU, and says which GPU", async () => {
    const choice = await chooseBuild("auto", machine({ cuda: ["RTX 4090"], vulkan: ["RTX 4090"] }));
    expect(choice).toMatchObject({ kind: "cuda", folder: "/builds/cuda" });
    expect(choice.reason).toContain("CUDA on RTX 4090");
  });

  test("falls to the next kind where the first sees no GPU", async () => {
    const choice = await chooseBuild("auto", machine({ cuda: [], vulkan: ["Arc A770"] }));
    expect(choice).toMatchObject({ kind: "vulkan", folder: "/builds/vulkan" });
  });

  test("falls to the CPU and says why no GPU is used", async () => {
    const choice = await chooseBuild("auto", machine({ cuda: [] }));
    expect(choice.kind).toBe("cpu");
    expect(choice.reason).toContain("the CUDA build sees no GPU (libcudart.so.13: not found)");
  });

  test("names the CUDA runtime where there is a driver but no runtime", async () => {
    const choice = await chooseBuild("auto", machine({}, { hasNvidiaDriver: () => true }));
    expect(choice.kind).toBe("cpu");
    expect(choice.reason).toContain("libcublas.so.13");
  });

  test("an explicit wish that cannot be met is an error that says what to install", async () => {
    await expect(chooseBuild("cuda", machine({}))).rejects.toMatchObject({
      code: "library_missing",
      message: expect.stringMatching(/GPU=cuda.*libcudart\.so\.13.*GPU=auto/),
    });
  });

  test("a wish for a kind without a package names that", async () => {
    const none = machine({}, { findFolder: () => undefined });
    await expect(chooseBuild("metal", none)).rejects.toMatchObject({ code: "library_missing" });
    await expect(chooseBuild("cpu", none)).rejects.toMatchObject({ code: "library_missing" });
  });

  test("GPU=cpu looks for no GPU", async () => {
    const neverAsked = () => Promise.reject(new Error("must not be asked"));
    const choice = await chooseBuild(
      "cpu",
      machine({ cuda: ["RTX 4090"] }, { supportedKinds: neverAsked, probe: neverAsked }),
    );
    expect(choice.kind).toBe("cpu");
  });

  test("on this machine a build is found, and its folder is there", async () => {
    const choice = await chooseBuild("auto");
    expect(existsSync(choice.folder)).toBe(true);
    expect(choice.reason).toMatch(/^(CPU|CUDA|Vulkan|Metal)\b.*\.$/);
  });
});
