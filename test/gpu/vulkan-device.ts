/**
 * Finds a Vulkan device for tests, Mesa's software one included, and says why a test is skipped without.
 * `TEST_VULKAN=required` makes a missing one a failure.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bindGgml } from "#engine/native/ggml.ts";
import { loadLibraries, type NativeLibraries } from "#engine/native/library.ts";
import { keepDestroyedBuffers } from "./destroyed-buffers.ts";

/** The build's folder with the device's name, or why there is none. */
type FoundDevice =
  | { readonly folder: string; readonly name: string; readonly missing: undefined }
  | { readonly folder: undefined; readonly missing: string };

const BUILD = `linux-${process.arch}-vulkan`;
const FOLDER = join(
  import.meta.dirname,
  `../../node_modules/@node-llama-cpp/${BUILD}/bins/${BUILD}`,
);
const PROBE = join(import.meta.dirname, "../../engine/native/probe-build.ts");
const PROBE_TIMEOUT_MS = 30_000;

/** ggml leaves devices out that compute on the CPU, unless they are named. */
process.env["GGML_VK_VISIBLE_DEVICES"] ??= "0";
/** Mesa's software device would take all cores. */
process.env["LP_NUM_THREADS"] ??= "2";

/** The device, or why tests that need one are skipped. */
export const VULKAN = findDevice();

let loaded: NativeLibraries | undefined;

/** Loads the Vulkan build; no other can be loaded in this process. */
export function vulkanLibraries(): NativeLibraries {
  if (loaded !== undefined) return loaded;
  if (VULKAN.folder === undefined) throw new Error(VULKAN.missing);
  loaded = loadLibraries(VULKAN.folder);
  const devices = bindGgml(loaded).ggml_backend_dev_count();
  if (devices > 1 && VULKAN.name.includes("llvmpipe")) keepDestroyedBuffers(loaded);
  return loaded;
}

function findDevice(): FoundDevice {
  const found = look();
  if (found.missing === undefined || process.env["TEST_VULKAN"] !== "required") return found;
  throw new Error(found.missing);
}

function look(): FoundDevice {
  const missing = (why: string): FoundDevice => ({
    folder: undefined,
    missing: `needs a Vulkan device, such as Mesa's (mesa-vulkan-drivers): ${why}`,
  });
  if (!existsSync(FOLDER)) return missing("no Vulkan build is installed for this platform");
  const options = { encoding: "utf8", timeout: PROBE_TIMEOUT_MS } as const;
  const probed: { gpus: string[]; problem?: string } = JSON.parse(
    execFileSync(process.execPath, [PROBE, FOLDER], options),
  );
  const [name] = probed.gpus;
  return name === undefined
    ? missing(probed.problem ?? "none answers")
    : { folder: FOLDER, name, missing: undefined };
}
