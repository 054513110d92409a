/** A program of its own: says which build is chosen for the setting in its argument, or why none is. */
import { isCoded } from "#engine/base/errors.ts";
import { chooseBuild, type GpuSetting } from "#engine/llama/gpu-build.ts";

const SETTINGS: readonly GpuSetting[] = ["auto", "cuda", "vulkan", "metal", "cpu"];
const setting = SETTINGS.find((each) => each === process.argv[2]) ?? "auto";
try {
  process.stdout.write((await chooseBuild(setting)).reason);
} catch (error) {
  if (!isCoded(error, "library_missing")) throw error;
  process.stdout.write(error.message);
}
