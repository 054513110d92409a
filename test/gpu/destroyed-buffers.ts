/**
 * Works around a mistake of Mesa 22.3's llvmpipe (Debian 12's), which takes hold of buffers that a descriptor set names
 * beyond what its shader reads. Vulkan allows such a set to name buffers that are gone, ggml's do, and the process ends
 * by a double free. Where this runs, buffers' descriptions stay: 500 bytes each. No other driver needs it.
 */
import { join } from "node:path";
import koffi from "koffi";
import type { NativeLibraries } from "#engine/native/library.ts";

/** ggml-vulkan's table of functions holds about 700, by the alphabet. */
const LOOKED_THROUGH = 400;

/** Keeps `vkDestroyBuffer` from being called; once ggml has opened Vulkan. */
export function keepDestroyedBuffers({ folder, base }: NativeLibraries): void {
  const vulkan = koffi.load("libvulkan.so.1");
  const backend = koffi.load(join(folder, "libggml-vulkan.so"));
  const table: bigint = backend.func("void *_Z26ggml_vk_default_dispatcherv()")();
  const functions = new BigUint64Array(koffi.view(table, 8 * LOOKED_THROUGH));
  const place = functions.indexOf(koffi.address(vulkan.symbol("vkDestroyBuffer")));
  if (place < 0) throw new Error("ggml-vulkan's table of functions is another one");
  // Takes nothing, gives nothing, does nothing.
  functions[place] = koffi.address(base.symbol("ggml_time_init"));
}
