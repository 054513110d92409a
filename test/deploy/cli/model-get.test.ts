import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { getModel } from "#deploy/cli/model-get.ts";
import { bestFit, neededBytes, ZEPHYR_FILES } from "#deploy/cli/zephyr-files.ts";
import { parseConfig } from "#engine/base/config.ts";

const GIBIBYTE = 1 << 30;
const { signal } = new AbortController();

describe("the choice of a quantisation", () => {
  it.each([
    [24, "Q8_0"],
    [12, "Q8_0"],
    [8, "Q6_K"],
    [7, "Q5_K_M"],
    [6.5, "Q4_K_M"],
    [6, "Q3_K_M"],
    [4, undefined],
  ])("for %d GiB is %s", (gibibytes, quantisation) => {
    expect(bestFit(gibibytes * GIBIBYTE, 2048)?.quantisation).toBe(quantisation);
  });

  it("never exceeds the memory, and is the largest that does not", () => {
    for (let gibibytes = 5; gibibytes < 32; gibibytes += 0.25) {
      const fit = bestFit(gibibytes * GIBIBYTE, 4096);
      const larger = ZEPHYR_FILES.filter((file) => file.bytes > (fit?.bytes ?? 0));
      if (fit !== undefined) {
        expect(neededBytes(fit, 4096)).toBeLessThanOrEqual(gibibytes * GIBIBYTE);
      }
      for (const file of larger) {
        expect(neededBytes(file, 4096)).toBeGreaterThan(gibibytes * GIBIBYTE);
      }
    }
  });
});

describe("zephyr model get", () => {
  const config = parseConfig({
    DATA_DIR: mkdtempSync(join(tmpdir(), "get-")),
    HF_ENDPOINT: "http://127.0.0.1:9",
    GPU: "cpu",
  });
  const get = (model: string, quantisation?: string) =>
    getModel(config, { model, quantisation, onProgress: () => {}, signal });

  it("goes to the configured server for the real file, and says plainly that it is not there", async () => {
    await expect(get("zephyr", "q4_k_m")).rejects.toThrow(
      /127\.0\.0\.1:9 cannot be reached.*offline.*zephyr-7b-beta\.Q4_K_M\.gguf/s,
    );
  });

  it("refuses names that are none, saying which there are", async () => {
    await expect(get("llama")).rejects.toThrow("Expected zephyr, or hf:");
    await expect(get("zephyr", "Q1")).rejects.toThrow("There are: Q8_0, Q6_K");
    await expect(get("hf:user/repo/../../etc/passwd")).rejects.toThrow("Expected zephyr");
  });
});
