import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineClient } from "#engine/client/engine-client.ts";
import { type SmallWorld, smallWorld, taste } from "../../trainer/nightly/small-world.ts";
import { type Line, type RunningZephyr, runZephyr, startZephyr } from "./running-zephyr.ts";

const ANY_PORTS = { ENGINE_PORT: "0", PLAYGROUND_PORT: "0", ENGINE_URL: "", CONTEXT_TOKENS: "512" };

function settingsOf(world: SmallWorld): Record<string, string> {
  return { ...world.settings, ...ANY_PORTS };
}

/** Processes of the supervisor, by the entry point that they run. */
function childrenOf(pid: number): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const [stat, command] = [readProc(name, "stat"), readProc(name, "cmdline")];
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    const entry = /(engine\/service|deploy\/playground|bot)\/main\.ts/.exec(command)?.[1];
    if (parent === pid && entry !== undefined) found.set(entry, Number(name));
  }
  return found;
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

async function trainAndSwap(settings: Record<string, string>, engineUrl: string): Promise<void> {
  const engine = new EngineClient({ url: engineUrl });
  const trained = await runZephyr(settings, "train", "--json");
  const result: Line = JSON.parse(trained.stdout.trim());
  expect(result).toMatchObject({ status: "published", activated: "engine" });
  expect((await engine.health()).adapter).toBe(result["adapter"]);

  const list = await runZephyr(settings, "adapters", "list", "--json");
  expect(JSON.parse(list.stdout)).toMatchObject({ active: result["adapter"] });
  await runZephyr(settings, "adapters", "rollback");
  expect((await engine.health()).adapter).toBe(null);
  const name = String(result["adapter"]);
  const activated = await runZephyr(settings, "adapters", "activate", name, "--json");
  expect(JSON.parse(activated.stdout)).toEqual({ active: name, previous: null, live: true });
  expect((await engine.health()).adapter).toBe(name);
}

describe.skipIf(process.platform !== "linux")("npm start without a Discord token", () => {
  let world: SmallWorld;
  let zephyr: RunningZephyr;
  let ready: Line;
  let children: Map<string, number>;

  beforeAll(async () => {
    world = smallWorld(taste(30));
    zephyr = startZephyr(settingsOf(world));
    ready = await zephyr.until(({ event }) => event === "ready");
    children = childrenOf(zephyr.process.pid ?? 0);
  });
  afterAll(async () => {
    expect(await zephyr.stop()).toBe(0);
    expect(zephyr.lines.at(-1)).toEqual({ event: "stopped" });
    for (const pid of children.values()) expect(() => process.kill(pid, 0)).toThrow();
  });

  test("says where page and engine are, what runs and when it trains", async () => {
    expect(ready).toMatchObject({ model: "random", adapter: null, dataDir: world.dataDir });
    expect(String(ready["device"])).toContain("CPU");
    expect(new Date(String(ready["training"])).getTime()).toBeGreaterThan(Date.now());
    const page = await fetch(String(ready["page"]));
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toContain("text/html");
  });

  test("runs engine, playground and bot, and only the bot has a Discord token", () => {
    expect([...children.keys()].sort()).toEqual(["bot", "deploy/playground", "engine/service"]);
    const tokenIn = (entry: string) =>
      /(?:^|\0)DISCORD_TOKEN=([^\0]*)/.exec(readProc(String(children.get(entry)), "environ"))?.[1];
    expect(tokenIn("bot")).toMatch(/.{20,}/);
    expect(tokenIn("engine/service")).toBe("");
    expect(tokenIn("deploy/playground")).toBe("");
  });

  test("a second one on the same data folder is refused", async () => {
    const { code, stdout } = await runZephyr(settingsOf(world), "start", "--json");
    expect(code).toBe(1);
    expect(stdout).toMatch(/Another zephyr \(process \d+\) uses the data folder/);
  });

  test("the command line finds its engine on whatever port", async () => {
    const chat = await runZephyr(settingsOf(world), "chat", "--json", "hello");
    expect(chat.stderr).toBe("");
    const chunks = chat.stdout
      .trim()
      .split("\n")
      .map((line): Line => JSON.parse(line));
    expect(chunks.at(-1)).toMatchObject({ type: "end", adapter: null });
    expect(chat.code).toBe(0);
  });

  test("zephyr train swaps the engine's adapter; rollback and activate do, too", async () => {
    await trainAndSwap(settingsOf(world), String(ready["engine"]));
  });

  test("an engine that is killed comes back on the same port", async () => {
    process.kill(children.get("engine/service") ?? 0, "SIGKILL");
    const restarting = await zephyr.until(({ event }) => event === "restarting");
    expect(restarting).toMatchObject({ service: "engine", delayMs: 1_000 });
    const engine = new EngineClient({ url: String(ready["engine"]) });
    await expect
      .poll(
        () =>
          engine.health().then(
            ({ status }) => status,
            () => "down",
          ),
        { timeout: 20_000 },
      )
      .toBe("ok");
    children = childrenOf(zephyr.process.pid ?? 0);
    expect(children.size).toBe(3);
  });
});
