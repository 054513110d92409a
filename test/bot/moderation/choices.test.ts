import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ModerationChoicesBook } from "#bot/moderation/choices.ts";
import { SettingsBook } from "#bot/settings/settings-book.ts";
import { openKeyv } from "#bot/storage/open-keyv.ts";
import { openSqliteStore } from "#bot/storage/sqlite-store.ts";
import { createLog } from "#engine/base/log.ts";

const log = createLog("test", "silent");
const [one, two] = ["1200000000000000001", "1200000000000000009"];

test("a mod-log channel that was chosen before it was one of the settings moves there, once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "choices-"));
  const store = openSqliteStore(join(folder, "bot.db"));
  onTestFinished(() => {
    store[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });
  const kept = openKeyv(store, "moderation", log);
  await kept.set(one, { logChannelId: "1200000000000000101", isDryRun: true });
  await kept.set(two, { alertChannelId: "1200000000000000102" });
  const choices = new ModerationChoicesBook(kept);
  const settings = new SettingsBook(openKeyv(store, "guild-settings", log));
  await settings.change(one, () => ({ modLogChannelId: "1200000000000000103" }));
  await choices.moveLogChannels(settings);
  // The older place was the one that counted.
  expect((await settings.of(one)).modLogChannelId).toBe("1200000000000000101");
  expect((await settings.of(two)).modLogChannelId).toBeNull();
  expect(await choices.of(one)).toMatchObject({ isDryRun: true });
  await settings.change(one, () => ({ modLogChannelId: null }));
  await choices.moveLogChannels(settings);
  expect((await settings.of(one)).modLogChannelId).toBeNull();
});
