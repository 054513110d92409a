/** How much memory GPUs have free. */
import { bindGgml, GGML_BACKEND_DEVICE_TYPE } from "./ggml.ts";
import type { NativeLibraries } from "./library.ts";

/** Bytes free on all GPUs that the build sees; 0 without any. */
export function freeGpuBytes(libraries: NativeLibraries): number {
  const ggml = bindGgml(libraries);
  let sum = 0;
  for (let index = 0; index < ggml.ggml_backend_dev_count(); index += 1) {
    const device = ggml.ggml_backend_dev_get(index);
    if (ggml.ggml_backend_dev_type(device) !== GGML_BACKEND_DEVICE_TYPE.gpu) continue;
    const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
    ggml.ggml_backend_dev_memory(device, free, total);
    sum += Number(free[0]);
  }
  return sum;
}
