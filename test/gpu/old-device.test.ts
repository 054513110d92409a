/**
 * A Vulkan device that ggml cannot use: Chromium's SwiftShader, which has no 16-bit storage, as cards of about 2015.
 * ggml lists such a device, and ends the process when it is opened.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "old-device-"));
const isX64Linux = process.platform === "linux" && process.arch === "x64";

/** Chromium's archive holds the driver and Vulkan's loader. */
beforeAll(async () => {
  if (!isX64Linux) return;
  const chromium = dirname(fileURLToPath(import.meta.resolve("@sparticuz/chromium")));
  const packed = await readFile(join(chromium, "../../bin/swiftshader.tar.br"));
  const archive = join(folder, "swiftshader.tar");
  writeFileSync(archive, brotliDecompressSync(packed));
  execFileSync("tar", ["-xf", archive, "-C", folder]);
});

afterAll(() => rmSync(folder, { recursive: true }));

function chosen(setting: "vulkan"): string {
  const driver = join(folder, "vk_swiftshader_icd.json");
  return execFileSync(process.execPath, [join(import.meta.dirname, "chosen-build.ts"), setting], {
    encoding: "utf8",
    env: {
      ...process.env,
      LD_LIBRARY_PATH: folder,
      VK_DRIVER_FILES: driver,
      VK_ICD_FILENAMES: driver,
      GGML_VK_VISIBLE_DEVICES: "0",
    },
  });
}

describe.skipIf(!isX64Linux)("a device that ggml lists and cannot use (Linux on x64 only)", () => {
  it("is refused where Vulkan is asked for, and why is said", () => {
    expect(chosen("vulkan")).toBe(
      "GPU=vulkan was asked for, but the Vulkan build sees no GPU (it ended over this: device Vulkan0 does not support 16-bit storage). Install the GPU's Vulkan driver and libvulkan.so.1, or set GPU=auto.",
    );
  });
});
