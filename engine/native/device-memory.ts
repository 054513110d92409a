/** How much memory GPUs have free. */
import { bindGgml, GGML_BACKEND_DEVICE_TYPE } from "./ggml.ts";
import type { NativeLibraries } from "./library.ts";

/**
 * Bytes free on all GPUs that the build sees; 0 without any.
 * @param heldBytes what this process holds there. It is taken off where a driver calls all of its memory free, as
 *   Vulkan's without VK_EXT_memory_budget do (ggml-vulkan.cpp, ggml_backend_vk_get_device_memory)
 */
export function freeGpuBytes(libraries: NativeLibraries, heldBytes = 0): number {
  const ggml = bindGgml(libraries);
  let [freeBytes, totalBytes] = [0, 0];
  for (let index = 0; index < ggml.ggml_backend_dev_count(); index += 1) {
    const device = ggml.ggml_backend_dev_get(index);
    if (ggml.ggml_backend_dev_type(device) !== GGML_BACKEND_DEVICE_TYPE.gpu) continue;
    const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
    ggml.ggml_backend_dev_memory(device, free, total);
    freeBytes += Number(free[0]);
    totalBytes += Number(total[0]);
  }
  const uncountedBytes = freeBytes === totalBytes ? heldBytes : 0;
  return Math.max(0, freeBytes - uncountedBytes);
}
