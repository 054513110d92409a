/** Which type products' operands have: what was asked for, where the device keeps to it. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { Device } from "../ggml/device.ts";
import type { TrainableOptions } from "./trainable.ts";

/**
 * The ggml type of products' operands. Vulkan rounds F32 operands to F16, whose least number is 6e-8, and gradients
 * are smaller: with a loss's weights of 1e-5 they came out 57% wrong (docs/experiments.md). BF16 has F32's range, and
 * its products there are computed in F32, on cards without a type for it, too.
 */
export function workTypeOn(device: Device, precision: TrainableOptions["precision"]): number {
  return GGML_TYPE[device.name.startsWith("Vulkan") ? "bf16" : precision];
}
