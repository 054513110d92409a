import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { locateModel } from "#engine/service/model-path.ts";
import { temporaryFolder } from "../adapters/adapter-fixture.ts";

const never = () => Promise.reject(new Error("nothing to download"));

describe("MODEL", () => {
  it("nano is the model that ships with the project", async () => {
    // Found, or named in the sentence that says it is missing.
    const found = await locateModel("nano", "/data", never).then(
      ({ id, path }) => `${id} at ${path}`,
      (error: unknown) => String(error),
    );
    expect(found).toContain(join("deploy", "models", "nano", "nano.gguf"));
  });

  it("nano is the guard that was made of it where GUARD_MODEL says so", async () => {
    const found = await locateModel("nano", "/data", never, "GUARD_MODEL").then(
      ({ id, path }) => `${id} at ${path}`,
      (error: unknown) => String(error),
    );
    expect(found).toContain(join("deploy", "models", "nano-guard", "nano-guard.gguf"));
  });

  it("as a path is served under the file's name", async () => {
    const path = join(temporaryFolder(), "My Model:Q8.GGUF");
    writeFileSync(path, "x");
    expect(await locateModel(path, "/data", never)).toEqual({ id: "My Model-Q8", path });
  });

  it("that is not there, or a folder, is named with what else could be given", async () => {
    for (const path of ["/nowhere/x.gguf", temporaryFolder()]) {
      await expect(locateModel(path, "/data", never)).rejects.toMatchObject({
        code: "model_missing",
        message: expect.stringMatching(/no model file at .*nano.*hf:/),
      });
    }
  });

  it("is called by the setting that names it", async () => {
    await expect(locateModel("/nowhere/x", "/data", never, "GUARD_MODEL")).rejects.toThrow(
      /^GUARD_MODEL: no model file/,
    );
  });

  it("with hf: is downloaded into the data folder", async () => {
    const asked: string[] = [];
    const fetchModel = async (uri: string, folder: string) => {
      asked.push(uri, folder);
      return "/data/models/hf_user_zephyr.Q4_K_M.gguf";
    };
    expect(await locateModel("hf:user/zephyr:Q4_K_M", "/data", fetchModel)).toEqual({
      id: "hf_user_zephyr.Q4_K_M",
      path: "/data/models/hf_user_zephyr.Q4_K_M.gguf",
    });
    expect(asked).toEqual(["hf:user/zephyr:Q4_K_M", "/data/models"]);
  });
});
