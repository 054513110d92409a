import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("an error's request body and address, which hold people's words and tokens, are not logged", () => {
  const script = `
    import { createLog } from "./engine/base/log.ts";
    const error = Object.assign(new Error("Unknown interaction"), {
      requestBody: { json: { content: "PRIVATEWORDS" } },
      url: "https://discord.com/api/interactions/1/SECRETTOKEN/callback",
    });
    createLog("test", "info").error({ err: error }, "an event failed");`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  expect(String(stderr)).toContain("Unknown interaction");
  expect(String(stderr)).not.toMatch(/PRIVATEWORDS|SECRETTOKEN/);
});
