import fs, {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { HISTORY_LIMIT } from "#engine/adapters/pointer.ts";
import { openRegistry } from "#engine/adapters/registry.ts";
import { BASE_SHA256, publication, publishAll, temporaryFolder } from "./adapter-fixture.ts";

const coded = (code: string) => expect.objectContaining({ name: "CodedError", code });

function fresh() {
  const dataDir = temporaryFolder();
  let nowMs = Date.UTC(2026, 0, 1);
  const clock = { nowMs: () => (nowMs += 1000), monotonicMs: () => 0 };
  return { root: join(dataDir, "adapters"), registry: openRegistry(dataDir, clock), dataDir };
}

describe("publishing", () => {
  it("copies the weights with a manifest that holds their hash", async () => {
    const { registry, root } = fresh();
    const manifest = await registry.publish(publication("night-1"));
    const weights = join(root, "night-1", "adapter.gguf");
    expect(readFileSync(weights, "utf8")).toBe("weights of night-1");
    expect(manifest).toMatchObject({ name: "night-1", createdAt: "2026-01-01T00:00:02.000Z" });
    expect(await registry.verify("night-1", BASE_SHA256)).toEqual({
      name: "night-1",
      path: weights,
      manifest,
    });
    expect(registry.current()).toBeNull();
  });

  it("never overwrites an adapter", async () => {
    const { registry } = fresh();
    await registry.publish(publication("a"));
    await expect(registry.publish(publication("a"))).rejects.toEqual(coded("adapter_exists"));
  });

  it("lets one of two publishers of the same name win", async () => {
    const { registry } = fresh();
    const both = await Promise.allSettled([
      registry.publish(publication("a", { content: "first" })),
      registry.publish(publication("a", { content: "second" })),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    await registry.verify("a");
  });

  it.each(["", "..", "a/b", "A", "a".repeat(65), "current", "base", "a\u0000"])(
    "refuses the name %j",
    async (name) => {
      const { registry } = fresh();
      const error = coded("adapter_name_invalid");
      await expect(registry.publish(publication(name))).rejects.toEqual(error);
      await expect(registry.verify(name)).rejects.toEqual(error);
      await expect(registry.activate(name)).rejects.toEqual(error);
    },
  );

  it("leaves nothing that counts when it was killed half way, and clears its remains later", async () => {
    const { registry, root } = fresh();
    const remains = join(root, ".publishing-night-1-0123456789ab");
    mkdirSync(remains);
    writeFileSync(join(remains, "adapter.gguf"), "half");
    expect(registry.list()).toEqual([]);
    await registry.publish(publication("night-1"));
    expect(existsSync(remains), "a publish under way is left alone").toBe(true);
    utimesSync(remains, new Date(0), new Date(0));
    await registry.publish(publication("night-2"));
    expect(readdirSync(root).toSorted()).toEqual(["night-1", "night-2"]);
  });

  it("leaves nothing behind when the trained file is not there", async () => {
    const { registry, root } = fresh();
    const missing = { ...publication("a"), adapterPath: "/nowhere/trained.gguf" };
    await expect(registry.publish(missing)).rejects.toThrow("ENOENT");
    expect(readdirSync(root)).toEqual([]);
  });
});

describe("verifying", () => {
  it("finds a single changed byte", async () => {
    const { registry, root } = fresh();
    await registry.publish(publication("a"));
    writeFileSync(join(root, "a", "adapter.gguf"), "Weights of a");
    await expect(registry.verify("a")).rejects.toEqual(coded("adapter_corrupt"));
    await expect(registry.activate("a")).rejects.toEqual(coded("adapter_corrupt"));
  });

  it("finds missing weights, a missing or broken manifest, and another adapter's manifest", async () => {
    const { registry, root } = fresh();
    await publishAll(registry, ["a", "b", "c", "d"]);
    rmSync(join(root, "a", "adapter.gguf"));
    rmSync(join(root, "b", "manifest.json"));
    writeFileSync(join(root, "c", "manifest.json"), '{"name":"c"');
    fs.copyFileSync(join(root, "c", "adapter.gguf"), join(root, "d", "adapter.gguf"));
    writeFileSync(join(root, "d", "manifest.json"), JSON.stringify({ name: "c" }));
    for (const name of ["a", "b", "c", "d"]) {
      await expect(registry.verify(name), name).rejects.toEqual(coded("adapter_corrupt"));
    }
    expect(registry.list().map((entry) => "problem" in entry)).toEqual([true, true, true, true]);
  });

  it("refuses symbolic links, whether folder, weights or manifest", async () => {
    const { registry, root, dataDir } = fresh();
    await publishAll(registry, ["a", "b", "c"]);
    const outside = join(dataDir, "outside");
    renameSync(join(root, "a"), outside);
    symlinkSync(outside, join(root, "a"));
    for (const [name, file] of [
      ["b", "adapter.gguf"],
      ["c", "manifest.json"],
    ] as const) {
      renameSync(join(root, name, file), join(dataDir, file));
      symlinkSync(join(dataDir, file), join(root, name, file));
    }
    for (const name of ["a", "b", "c"]) {
      await expect(registry.verify(name), name).rejects.toEqual(coded("adapter_corrupt"));
    }
  });

  it("refuses an adapter of another base model, and names both", async () => {
    const { registry } = fresh();
    await registry.publish(publication("a", { baseSha256: "0d".repeat(32) }));
    await expect(registry.verify("a", BASE_SHA256)).rejects.toEqual(coded("adapter_incompatible"));
    await expect(registry.verify("a", BASE_SHA256)).rejects.toThrow(/0d0d.*5c5c/);
  });

  it("lists what there is when asked for what there is not", async () => {
    const { registry } = fresh();
    await expect(registry.verify("a")).rejects.toThrow("The registry is empty");
    await registry.publish(publication("b"));
    await expect(registry.verify("a")).rejects.toEqual(coded("adapter_unknown"));
    await expect(registry.verify("a")).rejects.toThrow("There are: b");
  });
});

describe("the pointer", () => {
  it("moves, remembers, and rolls back to what served before", async () => {
    const { registry, dataDir } = fresh();
    await publishAll(registry, ["a", "b"]);
    await registry.activate("a");
    await registry.activate("b");
    await registry.activate("b");
    expect(openRegistry(dataDir).pointer()).toEqual({ current: "b", history: [null, "a"] });
    expect(await registry.rollback()).toEqual({ current: "a", history: [null] });
    expect(await registry.rollback()).toEqual({ current: null, history: [] });
    await expect(registry.rollback()).rejects.toEqual(coded("adapter_unknown"));
  });

  it("rolls back past adapters that are gone or damaged", async () => {
    const { registry, root } = fresh();
    await publishAll(registry, ["a", "b", "c", "d"]);
    for (const name of ["a", "b", "c", "d"]) await registry.activate(name);
    writeFileSync(join(root, "c", "adapter.gguf"), "tampered");
    rmSync(join(root, "b"), { recursive: true });
    expect((await registry.rollback()).current).toBe("a");
  });

  it("never moves to an adapter that did not pass its gate", async () => {
    const { registry } = fresh();
    await registry.publish(publication("a", { passed: false }));
    await expect(registry.activate("a")).rejects.toEqual(coded("gate_refused"));
    expect(registry.current()).toBeNull();
  });

  it("bounds its history", async () => {
    const { registry } = fresh();
    await publishAll(registry, ["a", "b"]);
    for (let turn = 0; turn < 20; turn++) {
      await registry.activate("a");
      await registry.activate("b");
    }
    expect(registry.pointer().history).toHaveLength(HISTORY_LIMIT);
  });

  it("that is damaged counts as none, and says so", async () => {
    const { registry, root } = fresh();
    await registry.publish(publication("a"));
    for (const content of ["", "{", '{"current":"../x","history":[]}', "null"]) {
      writeFileSync(join(root, "current"), content);
      expect(registry.pointer(), content).toMatchObject({ current: null, history: [] });
      expect(registry.pointer().problem).toContain("damaged");
    }
    await registry.activate("a");
    expect(registry.pointer().problem).toBeUndefined();
  });
});

describe("quarantine", () => {
  it("takes an adapter out of the list and keeps its files", async () => {
    const { registry } = fresh();
    await registry.publish(publication("a"));
    const folder = registry.quarantine("a");
    expect(registry.list()).toEqual([]);
    expect(existsSync(join(folder, "adapter.gguf"))).toBe(true);
    await registry.publish(publication("a"));
  });
});

describe("a full disk", () => {
  const { fsyncSync } = fs;
  const noRoom = () => {
    throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  };
  let restoreHandle = () => {};

  /** Every sync to disk fails from now on, which is when a delayed write finds no room. */
  async function fillDisk(folder: string) {
    const handle = await open(folder, "r");
    const prototype = Object.getPrototypeOf(handle);
    const sync = prototype.sync;
    await handle.close();
    prototype.sync = async () => noRoom();
    fs.fsyncSync = noRoom;
    syncBuiltinESMExports();
    restoreHandle = () => {
      prototype.sync = sync;
    };
  }

  afterEach(() => {
    restoreHandle();
    fs.fsyncSync = fsyncSync;
    syncBuiltinESMExports();
  });

  it("refuses to publish and leaves nothing half written", async () => {
    const { registry, root } = fresh();
    await fillDisk(root);
    await expect(registry.publish(publication("a"))).rejects.toEqual(coded("disk_full"));
    expect(readdirSync(root)).toEqual([]);
  });

  it("leaves the old pointer standing", async () => {
    const { registry, root } = fresh();
    await publishAll(registry, ["a", "b"]);
    await registry.activate("a");
    await fillDisk(root);
    await expect(registry.activate("b")).rejects.toEqual(coded("disk_full"));
    expect(registry.pointer()).toEqual({ current: "a", history: [null] });
  });
});
