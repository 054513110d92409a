import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import { systemClock } from "#engine/base/clock.ts";
import { parseConfig } from "#engine/base/config.ts";
import { ConsentBook } from "#trainer/feedback/consent.ts";
import { retireTainted } from "#trainer/nightly/retire.ts";
import { freshFolder } from "../../deploy/playground/arena.ts";
import { publishAll } from "../../engine/adapters/adapter-fixture.ts";

const NOWHERE = "http://127.0.0.1:9";

test("adapters that learned from what is gone are out of service and off the disk; others stay", async () => {
  const DATA_DIR = freshFolder();
  const config = parseConfig({ DATA_DIR, ENGINE_URL: NOWHERE });
  const registry = openRegistry(DATA_DIR);
  await publishAll(registry, ["night-1", "night-2", "night-3"]);
  await registry.activate("night-2");
  await registry.activate("night-1");
  {
    using book = ConsentBook.open(DATA_DIR);
    // One that was removed by hand meanwhile is no trouble.
    book.requestRetraining(["night-1", "night-3", "night-0"]);
  }
  const said: string[] = [];
  await retireTainted({ config, clock: systemClock, say: (what) => said.push(what) });
  expect(registry.current()).toBeNull();
  expect(registry.list().map(({ name }) => name)).toEqual(["night-2"]);
  expect(readdirSync(join(DATA_DIR, "adapters", ".quarantine"))).toEqual([]);
  expect(said).toHaveLength(3);
  using book = ConsentBook.open(DATA_DIR);
  expect(book.retraining()).toEqual([]);
  expect((await registry.rollback()).current).toBe("night-2");
});

test("where nothing is marked nothing changes, and no book is made", async () => {
  const DATA_DIR = freshFolder();
  const config = parseConfig({ DATA_DIR, ENGINE_URL: NOWHERE });
  await publishAll(openRegistry(DATA_DIR), ["night-1"]);
  await retireTainted({ config, clock: systemClock, say: () => undefined });
  expect(openRegistry(DATA_DIR).list()).toHaveLength(1);
  expect(existsSync(join(DATA_DIR, "people.db"))).toBe(false);
});
