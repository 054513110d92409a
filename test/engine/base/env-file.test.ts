import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SETTING_NAMES } from "#engine/base/config.ts";
import { explainUnknownName, unknownNames } from "#engine/base/env-file.ts";

const nearest = (name: string) => unknownNames([name], SETTING_NAMES)[0]?.nearest;

describe("names in .env", () => {
  test("that are settings are no surprise", () => {
    expect(unknownNames(SETTING_NAMES, SETTING_NAMES)).toEqual([]);
  });

  test.each([
    ["DISCORD_TOKN", "DISCORD_TOKEN"],
    ["discord_token", "DISCORD_TOKEN"],
    ["MODLE", "MODEL"],
    ["TRAIN_LORA_RNAK", "TRAIN_LORA_RANK"],
    ["ENGINE-PORT", "ENGINE_PORT"],
    ["DATADIR", "DATA_DIR"],
  ])("%s is taken for %s", (name, meant) => {
    expect(nearest(name)).toBe(meant);
  });

  test.each(["HTTP_PROXY", "POSTGRES_PASSWORD", "X", "TZ"])("%s is taken for none", (name) => {
    expect(nearest(name)).toBeUndefined();
    expect(explainUnknownName({ name, nearest: undefined })).toBe(
      `${name} in .env is no setting and changes nothing.`,
    );
  });

  test("with one letter too many are taken for a setting that is as near", () => {
    const index = fc.nat({ max: 40 });
    fc.assert(
      fc.property(fc.constantFrom(...SETTING_NAMES), index, (setting, at) => {
        const name = `${setting.slice(0, at)}Q${setting.slice(at)}`;
        const found = nearest(name) ?? "";
        expect(SETTING_NAMES).toContain(found);
        expect(Math.abs(found.length - name.length)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
