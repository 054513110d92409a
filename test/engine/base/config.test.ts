import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseConfig, SETTING_NAMES } from "#engine/base/config.ts";
import { isCoded } from "#engine/base/errors.ts";

function failure(source: Record<string, string>): string {
  try {
    parseConfig(source);
  } catch (error) {
    if (isCoded(error, "config_invalid")) return error.message;
    throw error;
  }
  throw new Error("expected the settings to be refused");
}

test.each([
  ["GPU", "abacus", "expected one of auto, cuda, vulkan, metal, cpu"],
  ["BACKEND_URL", "localhost:8000", "expected an address such as http://127.0.0.1:8000"],
  ["SHARDS", "-1", "expected a whole number, 0 or more"],
  ["REDIS_URL", "localhost", "expected redis://… or rediss://…"],
])("%s=%s is refused with what it may be", (name, value, expected) => {
  expect(failure({ [name]: value })).toContain(`${name}: ${expected}; got `);
});

describe("settings", () => {
  test("nothing set gives the playground on loopback with the small model", () => {
    const config = parseConfig({});
    expect(config).toMatchObject({
      MODEL: "nano",
      ENGINE_HOST: "127.0.0.1",
      PLAYGROUND_HOST: "127.0.0.1",
      ENGINE_PORT: 8177,
      TRAIN_AT: "03:00",
      LEARN_FROM_DISCORD: false,
    });
    expect(config.DISCORD_TOKEN).toBeUndefined();
  });

  test("an adapter's targets and blocks are lists", () => {
    const config = parseConfig({ TRAIN_LORA_TARGETS: "q, v", TRAIN_LORA_LAYERS: "8,0-2,1" });
    expect(config.TRAIN_LORA_TARGETS).toEqual(["q", "v"]);
    expect(config.TRAIN_LORA_LAYERS).toEqual([0, 1, 2, 8]);
  });

  test("an empty value counts as unset", () => {
    expect(parseConfig({ DISCORD_TOKEN: "", ENGINE_PORT: "" }).ENGINE_PORT).toBe(8177);
  });

  test.each([
    ["ENGINE_PORT", "70000"],
    ["TRAIN_AT", "25:00"],
    ["GPU", "abacus"],
    ["ENGINE_URL", "ftp://example.org"],
    ["LEARN_FROM_DISCORD", "perhaps"],
    ["TRAIN_LOSS", "cross"],
    ["TRAIN_BETA", "0"],
    ["TRAIN_LORA_DROPOUT", "1"],
    ["TRAIN_LORA_TARGETS", "q,x"],
    ["TRAIN_LORA_TARGETS", "q,q"],
    ["TRAIN_LORA_LAYERS", "7-3"],
    ["TRAIN_LORA_LAYERS", "0-999"],
    ["TRAIN_LORA_LAYERS", "-1"],
  ])("%s=%s is refused by name, with what came", (name, value) => {
    const message = failure({ [name]: value });
    expect(message).toContain(name);
    expect(message).toContain(value);
    expect(message).toContain(".env.example");
  });

  test("a secret's value is never repeated in a message", () => {
    expect(failure({ ENGINE_PORT: "x", ENGINE_API_KEY: "s3cret" })).not.toContain("s3cret");
  });

  test("a token can come from a file", () => {
    const path = join(mkdtempSync(join(tmpdir(), "token-")), "token");
    writeFileSync(path, "abc.def.ghi\n");
    expect(parseConfig({ DISCORD_TOKEN_FILE: path }).DISCORD_TOKEN).toBe("abc.def.ghi");
    expect(failure({ DISCORD_TOKEN_FILE: `${path}.missing` })).toContain("DISCORD_TOKEN_FILE");
  });

  test(".env.example explains every setting, no other, and shows the defaults", () => {
    const text = readFileSync(new URL("../../../.env.example", import.meta.url), "utf8");
    const lines = text.split("\n").filter((line) => /^[A-Z_]+=/.test(line));
    expect(lines.map((line) => line.split("=")[0]).sort()).toEqual([...SETTING_NAMES].sort());
    const shown = Object.fromEntries(lines.map((line) => line.split(/=(.*)/).slice(0, 2)));
    expect(parseConfig(shown)).toEqual(parseConfig({}));
  });
});
