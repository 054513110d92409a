import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import { createLog } from "#engine/base/log.ts";
import { ServingAdapters } from "#engine/service/adapters/serving-adapters.ts";
import { publication, publishAll, temporaryFolder } from "../../adapters/adapter-fixture.ts";
import { ScriptedBackend, until } from "../scripted-backend.ts";

const log = createLog("test", "silent");

async function prepared(names: readonly string[], active: readonly string[] = []) {
  const dataDir = temporaryFolder();
  const registry = openRegistry(dataDir);
  await publishAll(registry, names);
  for (const name of active) await registry.activate(name);
  const backend = new ScriptedBackend();
  const open = () => ServingAdapters.open({ registry, backend, log });
  const tamper = (name: string) =>
    writeFileSync(join(dataDir, "adapters", name, "adapter.gguf"), "tampered");
  return { dataDir, registry, backend, open, tamper };
}

describe("at the start", () => {
  it("the bare weights serve when nothing was activated", async () => {
    const { open, backend } = await prepared(["a"]);
    const adapters = await open();
    expect(adapters.active).toBeNull();
    expect(adapters.problems).toEqual([]);
    expect(backend.loadedAdapters()).toEqual([]);
  });

  it("the current adapter is loaded", async () => {
    const { open, backend } = await prepared(["a", "b"], ["a", "b"]);
    const adapters = await open();
    expect(adapters.active).toBe("b");
    expect(backend.loadedAdapters()).toEqual(["b"]);
  });

  it("a damaged one is quarantined, the last sound one serves, and health can tell", async () => {
    const { open, registry, tamper, dataDir } = await prepared(["a", "b", "c"], ["a", "b", "c"]);
    for (const name of ["b", "c"]) tamper(name);
    const adapters = await open();
    expect(adapters.active).toBe("a");
    expect(registry.current()).toBe("a");
    expect(registry.list().map(({ name }) => name)).toEqual(["a"]);
    expect(readdirSync(join(dataDir, "adapters", ".quarantine"))).toHaveLength(2);
    expect(adapters.problems.join("\n")).toMatch(/Adapter c is damaged.*a answer.* adapter c/s);
  });

  it("the bare weights serve when no adapter is sound", async () => {
    const { open, registry, tamper } = await prepared(["a"], ["a"]);
    tamper("a");
    const adapters = await open();
    expect(adapters.active).toBeNull();
    expect(registry.current()).toBeNull();
    expect(adapters.problems.at(-1)).toContain("The bare weights answer in place of adapter a");
  });

  it("an adapter for another model is left where it is, for when that model is back", async () => {
    const { open, registry } = await prepared([]);
    await registry.publish(publication("other", { baseSha256: "0d".repeat(32) }));
    await registry.activate("other");
    const adapters = await open();
    expect(adapters.active).toBeNull();
    expect(registry.current()).toBe("other");
    expect(adapters.problems[0]).toContain("trained on a base model");
  });
});

describe("a swap", () => {
  it("moves the pointer and keeps what served last", async () => {
    const { open, registry, backend } = await prepared(["a", "b", "c"]);
    const adapters = await open();
    expect(await adapters.activate("a")).toEqual({ active: "a", previous: null, canary: null });
    expect(await adapters.activate("b")).toEqual({ active: "b", previous: "a", canary: null });
    expect(registry.current()).toBe("b");
    expect(await adapters.activate("c")).toEqual({ active: "c", previous: "b", canary: null });
    expect(backend.loadedAdapters().toSorted()).toEqual(["b", "c"]);
    expect(await adapters.activate("base")).toEqual({ active: null, previous: "c", canary: null });
    expect(registry.current()).toBeNull();
  });

  it("leaves a request its adapter until it ends, and frees it then", async () => {
    const { open, backend } = await prepared(["a", "b", "c"]);
    const adapters = await open();
    await adapters.activate("a");
    const lease = adapters.lease(undefined);
    await adapters.activate("b");
    await adapters.activate("c");
    expect(lease.adapter).toBe("a");
    expect(backend.loadedAdapters()).toContain("a");
    lease[Symbol.dispose]();
    lease[Symbol.dispose]();
    expect(backend.loadedAdapters()).not.toContain("a");
    await adapters.activate("a");
    expect(adapters.lease("scripted").adapter).toBe("a");
  });

  it("under way keeps its adapter, whoever leaves meanwhile", async () => {
    const { open, backend } = await prepared(["a", "b", "c"]);
    const adapters = await open();
    for (const name of ["a", "b"]) await adapters.activate(name);
    const lease = adapters.lease("scripted:a");
    const swapped = adapters.activate("c");
    await until(() => backend.loadedAdapters().includes("c"));
    lease[Symbol.dispose]();
    expect(adapters.active, "the swap is still under way").toBe("b");
    await swapped;
    expect(backend.loadedAdapters().toSorted()).toEqual(["b", "c"]);
  });
});

describe("a swap that fails, or meets another", () => {
  it("that cannot be changes nothing", async () => {
    const { open, registry, backend, tamper } = await prepared(["a", "b"]);
    await registry.publish(publication("refused", { passed: false }));
    await registry.publish(publication("other", { baseSha256: "0d".repeat(32) }));
    await registry.publish(publication("unloadable"));
    const adapters = await open();
    await adapters.activate("a");
    tamper("b");
    for (const [name, code] of [
      ["b", "adapter_corrupt"],
      ["refused", "gate_refused"],
      ["other", "adapter_incompatible"],
      ["unloadable", "adapter_corrupt"],
      ["missing", "adapter_unknown"],
      ["../a", "adapter_name_invalid"],
    ] as const) {
      await expect(adapters.activate(name), name).rejects.toMatchObject({ code });
    }
    expect(adapters.active).toBe("a");
    expect(registry.current()).toBe("a");
    expect(backend.loadedAdapters()).toEqual(["a"]);
    expect(existsSync(join(registry.quarantine("b"), "adapter.gguf"))).toBe(true);
  });

  it("whose pointer cannot be written does not happen, and leaves nothing loaded", async () => {
    const { open, registry, backend, dataDir } = await prepared(["a", "b"], ["a"]);
    const adapters = await open();
    const pointer = join(dataDir, "adapters", "current");
    rmSync(pointer);
    mkdirSync(pointer);
    await expect(adapters.activate("b")).rejects.toThrow();
    expect(adapters.active).toBe("a");
    expect(backend.loadedAdapters()).toEqual(["a"]);
    rmdirSync(pointer);
    await adapters.activate("b");
    expect(registry.current()).toBe("b");
  });

  it("of many at once ends on the last, with the pointer on the same", async () => {
    const { open, registry } = await prepared(["a", "b", "c"]);
    const adapters = await open();
    await Promise.all(["a", "b", "base", "c", "a"].map((name) => adapters.activate(name)));
    expect([adapters.active, registry.current()]).toEqual(["a", "a"]);
    expect(registry.pointer().history).toEqual([null, "a", "b", null, "c"]);
  });
});

describe("model names", () => {
  it("are the model, its bare weights and each loaded adapter", async () => {
    const { open } = await prepared(["a", "b"], ["a"]);
    const adapters = await open();
    expect(adapters.modelNames()).toEqual(["scripted", "scripted:base", "scripted:a"]);
    expect(adapters.lease("").adapter).toBe("a");
    expect(adapters.lease("scripted:base").adapter).toBeNull();
    expect(adapters.lease("scripted:a").adapter).toBe("a");
    for (const name of ["scripted:b", "other", "scripted:", ":a", "a"]) {
      expect(() => adapters.lease(name), name).toThrow(/Served are: scripted, scripted:base/);
    }
  });
});

describe("a canary", () => {
  const guilds = Array.from({ length: 1000 }, (_, index) => `guild-${index}`);

  it("answers its share of the guilds, always the same ones, and no conversation outside of guilds", async () => {
    const { open } = await prepared(["a", "b"], ["a"]);
    const adapters = await open();
    expect(await adapters.activate("b", 0.2)).toEqual({
      active: "a",
      previous: null,
      canary: { name: "b", share: 0.2 },
    });
    const answered = (guild: string) => adapters.lease(undefined, guild).adapter;
    const onTrial = guilds.filter((guild) => answered(guild) === "b");
    expect(onTrial.length).toBeGreaterThan(150);
    expect(onTrial.length).toBeLessThan(250);
    expect(guilds.filter((guild) => answered(guild) === "b")).toEqual(onTrial);
    expect(answered("")).toBe("a");
    expect(adapters.lease("scripted:a", onTrial[0]).adapter).toBe("a");
    // A larger share adds guilds and takes none away.
    await adapters.activate("b", 0.5);
    expect(onTrial.every((guild) => answered(guild) === "b")).toBe(true);
  });

  it("survives a restart, and ends with its adapter's deactivation or anyone's activation", async () => {
    const { open, registry } = await prepared(["a", "b"], ["a"]);
    await (await open()).activate("b", 0.999);
    const adapters = await open();
    expect(adapters.canary).toEqual({ name: "b", share: 0.999 });
    expect(adapters.list().map(({ name, active, canary }) => [name, active, canary])).toEqual([
      ["a", true, false],
      ["b", false, true],
    ]);
    expect((await adapters.deactivate("b")).canary).toBeNull();
    expect(registry.pointer()).toEqual({ current: "a", history: [null] });
    await adapters.activate("b", 0.1);
    expect(await adapters.activate("b")).toEqual({ active: "b", previous: "a", canary: null });
    expect(registry.pointer().canary).toBeUndefined();
  });

  it("that is damaged is refused, or given up at the next start, while the last good one serves", async () => {
    const { open, tamper } = await prepared(["a", "b"], ["a"]);
    const adapters = await open();
    await adapters.activate("b", 0.5);
    tamper("b");
    const again = await open();
    expect(again.canary).toBeNull();
    expect(again.active).toBe("a");
    expect(again.problems.join(" ")).toContain("The trial of b is over; a answer");
  });
});

describe("loading and unloading on request", () => {
  it("makes an adapter nameable without activating it, and keeps it through swaps", async () => {
    const { open, backend } = await prepared(["a", "b", "c", "d"], ["a"]);
    const adapters = await open();
    await adapters.load("b");
    for (const name of ["c", "d", "a"]) await adapters.activate(name);
    expect(adapters.lease("scripted:b").adapter).toBe("b");
    expect(backend.loadedAdapters()).toContain("b");
    expect(await adapters.unload("b")).toEqual({ draining: true });
    expect(() => adapters.lease("scripted:b")).toThrow(/No model is named/);
  });

  it("lets those finish that run, and then frees it", async () => {
    const { open, backend } = await prepared(["a"]);
    const adapters = await open();
    await adapters.load("a");
    const lease = adapters.lease("scripted:a");
    expect(await adapters.unload("a")).toEqual({ draining: true });
    expect(backend.loadedAdapters()).toEqual(["a"]);
    lease[Symbol.dispose]();
    await until(() => backend.loadedAdapters().length === 0);
    await adapters.load("a");
    expect(adapters.lease("scripted:a").adapter).toBe("a");
  });

  it("refuses to unload what answers, and what is not loaded", async () => {
    const { open } = await prepared(["a", "b", "c"], ["a"]);
    const adapters = await open();
    await adapters.activate("b", 0.5);
    for (const [name, code] of [
      ["a", "adapter_in_use"],
      ["b", "adapter_in_use"],
      ["c", "adapter_unknown"],
    ] as const) {
      await expect(adapters.unload(name)).rejects.toMatchObject({ code });
    }
    expect(await adapters.deactivate("a")).toEqual({ active: null, previous: "a", canary: null });
    expect(await adapters.unload("a")).toEqual({ draining: false });
  });
});
