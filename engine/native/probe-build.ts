/**
 * A program of its own: loads the build in the folder named by its argument and prints the GPUs that it can open.
 * A driver that ends the process ends only this one; ggml itself ends it where a GPU is too old for it.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import koffi from "koffi";
import { bindGgml, GGML_BACKEND_DEVICE_TYPE } from "./ggml.ts";
import { loadLibraries } from "./library.ts";

const folder = process.argv[2] ?? "";
const ggml = bindGgml(loadLibraries(folder));
const gpus = Array.from({ length: ggml.ggml_backend_dev_count() }, (_, index) =>
  ggml.ggml_backend_dev_get(index),
)
  .filter((device) => {
    const type = ggml.ggml_backend_dev_type(device);
    return type === GGML_BACKEND_DEVICE_TYPE.gpu || type === GGML_BACKEND_DEVICE_TYPE.igpu;
  })
  .map((device) => {
    const backend = ggml.ggml_backend_dev_init(device, null);
    if (backend !== null) ggml.ggml_backend_free(backend);
    return backend === null ? undefined : ggml.ggml_backend_dev_description(device);
  })
  .filter((name) => name !== undefined);
const problem = gpus.length === 0 ? loadProblem() : undefined;
process.stdout.write(JSON.stringify({ gpus, problem }));

/** What the dynamic loader says about the GPU backend, such as which library is missing. */
function loadProblem(): string {
  const file = readdirSync(folder).find((name) => /ggml-(cuda|vulkan|metal)\./.test(name));
  if (file === undefined) return "it has no GPU backend";
  try {
    koffi.load(join(folder, file));
    return "no device answers";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
