import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { openRegistry } from "#engine/adapters/registry.ts";
import { feedbackPath } from "#trainer/feedback/log.ts";
import { publishAll } from "../../engine/adapters/adapter-fixture.ts";
import { smallWorld, taste } from "../../trainer/nightly/small-world.ts";
import { logOf } from "../../trainer/pairs/feedback-fixture.ts";
import { runZephyr, runZephyrIn } from "../start/running-zephyr.ts";

describe("help and wrong use", () => {
  test("every command has its help, with --json in it", async () => {
    const commands = [
      ["start"],
      ["train"],
      ["adapters", "list"],
      ["adapters", "activate"],
      ["adapters", "rollback"],
      ["adapters", "export"],
      ["adapters", "import"],
      ["adapters", "judge"],
      ["adapters", "merge"],
      ["chat"],
      ["model", "info"],
      ["doctor"],
      ["feedback", "export"],
      ["feedback", "import"],
    ];
    const helps = await Promise.all(commands.map((command) => runZephyr({}, ...command, "--help")));
    for (const { code, stdout } of helps) {
      expect(code).toBe(0);
      expect(stdout).toContain("--json");
    }
  });

  test("--version prints the release", async () => {
    const { code, stdout } = await runZephyr({}, "--version");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+$/m);
  });

  test("an empty log is exported as nothing, and that is said", async () => {
    const { code, stdout, stderr } = await runZephyr(smallWorld([]).settings, "feedback", "export");
    expect(code).toBe(0);
    expect(stdout.trim()).toBe("");
    expect(stderr).toContain("no exchange yet");
  });

  test("a folder in place of a file to import is called one", async () => {
    const { settings } = smallWorld([]);
    const folder = mkdtempSync(join(tmpdir(), "import-"));
    const { code, stderr } = await runZephyr(settings, "feedback", "import", folder);
    expect(code).toBe(1);
    expect(stderr).toContain("Expected a file, found a folder");
  });

  test.each([
    [["dance"]],
    [["adapters", "activate"]],
    [["train", "--fast"]],
    [["train", "--loss", "cross"]],
    [["adapters", "activate", "../escape"]],
  ])("%j exits with 2", async (command) => {
    const world = smallWorld([]);
    const { code, stderr } = await runZephyr(world.settings, ...command);
    expect(code).toBe(2);
    expect(stderr).not.toBe("");
  });
});

describe("a misspelt name in .env", () => {
  const inFolder = (...command: readonly string[]) => {
    const folder = mkdtempSync(join(tmpdir(), "misspelt-"));
    writeFileSync(join(folder, ".env"), "TRAIN_MIN_PAIR=3\nHTTP_PROXY=http://elsewhere\n");
    return runZephyrIn(folder, smallWorld([]).settings, ...command);
  };

  test("is told with the nearest setting, and keeps nobody from working", async () => {
    const { code, stderr } = await inFolder("adapters", "list");
    expect(code).toBe(0);
    expect(stderr).toContain("TRAIN_MIN_PAIR in .env is no setting and changes nothing.");
    expect(stderr).toContain("Did you mean TRAIN_MIN_PAIRS?");
    expect(stderr).toMatch(/HTTP_PROXY in \.env is no setting and changes nothing\.$/m);
  });

  test("is what the doctor finds", async () => {
    const { code, stdout } = await inFolder("doctor");
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ settings: TRAIN_MIN_PAIR .*Did you mean TRAIN_MIN_PAIRS\?/);
    expect(stdout).toContain("✓ Node.js");
  });
});

test.runIf(process.platform === "linux")(
  "a data folder that the system cannot make is refused in words, by the doctor too",
  async () => {
    const settings = { ...smallWorld([]).settings, DATA_DIR: "/proc/zephyr" };
    const start = await runZephyr(settings, "start");
    expect(start.code).toBe(1);
    expect(start.stderr).toMatch(/^\/proc\/zephyr cannot be written: there is no such place/);
    const { stdout } = await runZephyr(settings, "doctor");
    expect(stdout).toMatch(/✗ data folder: \/proc\/zephyr cannot be written/);
  },
);

describe("a data folder that is a file", () => {
  test.each([[["start"]], [["train"]], [["adapters", "list"]]])(
    "%j says so without a stack trace",
    async (command) => {
      const { settings } = smallWorld([]);
      const DATA_DIR = join(mkdtempSync(join(tmpdir(), "data-")), "file");
      writeFileSync(DATA_DIR, "");
      const { code, stderr } = await runZephyr({ ...settings, DATA_DIR }, ...command);
      expect(code).toBe(1);
      expect(stderr).toMatch(/cannot be written: a .*file/);
      expect(stderr).not.toMatch(/^\s+at /m);
    },
  );
});

describe("without an engine", () => {
  test("chat says how to start one", async () => {
    const { code, stderr } = await runZephyr(smallWorld([]).settings, "chat", "hello");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /No engine answers at http:\/\/127\.0\.0\.1:9\. Start one by "npm start"/,
    );
  });

  test("nothing to roll back to is a failure that says so", async () => {
    const { code, stdout } = await runZephyr(
      smallWorld([]).settings,
      "adapters",
      "rollback",
      "--json",
    );
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error.message).toMatch(/Nothing to roll back to/);
  });

  test("a trial is listed, ends by the first rollback, and leaves what serves alone", async () => {
    const { settings, dataDir } = smallWorld([]);
    const registry = openRegistry(dataDir);
    await publishAll(registry, ["one", "two", "three"]);
    for (const name of ["one", "two"]) await registry.activate(name);
    await registry.setCanary({ name: "three", share: 0.25 });
    const list = await runZephyr(settings, "adapters", "list");
    expect(list.stdout).toContain("On trial with 25% of the servers: three.");
    const ended = await runZephyr(settings, "adapters", "rollback");
    expect(ended.stdout).toContain("The trial of three is over; everybody is answered by two.");
    expect(registry.pointer()).toEqual({ current: "two", history: [null, "one"] });
    await runZephyr(settings, "adapters", "rollback");
    expect(registry.current()).toBe("one");
  });

  test("the list of an empty registry says how to fill it", async () => {
    const { code, stdout } = await runZephyr(smallWorld([]).settings, "adapters", "list");
    expect(code).toBe(0);
    expect(stdout).toContain("npx zephyr train");
  });
});

describe("zephyr feedback export", () => {
  test("gives each exchange with its answers and standing votes, and nothing that was deleted", async () => {
    const world = smallWorld([]);
    logOf(
      [
        { asked: "Why?", answer: "Because.", says: { ann: "👍", ben: 4 } },
        { asked: "Secret?", answer: "Gone.", says: { ann: "👎" }, deleted: true },
      ],
      feedbackPath(world.dataDir),
    ).close();
    const { code, stdout } = await runZephyr(world.settings, "feedback", "export");
    expect(code).toBe(0);
    const lines = stdout.trim().split("\n");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      messages: [{ role: "user", content: "Why?" }],
      candidates: [
        { text: "Because.", votes: [{ raterKey: "ann" }, { raterKey: "ben", value: 4 }] },
      ],
    });
    expect(stdout).not.toMatch(/Secret|Gone/);

    const out = join(world.dataDir, "out.jsonl");
    const written = await runZephyr(world.settings, "feedback", "export", "--out", out, "--json");
    expect(JSON.parse(written.stdout)).toEqual({ exchanges: 1, file: out });
    expect(readFileSync(out, "utf8")).toBe(stdout);
  });
});

describe("zephyr doctor", () => {
  test("finds a sound installation healthy", async () => {
    const world = smallWorld(taste(1));
    const ports = { ENGINE_URL: "", ENGINE_PORT: "0", PLAYGROUND_PORT: "0" };
    const { code, stdout } = await runZephyr({ ...world.settings, ...ports }, "doctor", "--json");
    const { healthy, findings } = JSON.parse(stdout);
    expect(findings.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([]);
    expect(healthy).toBe(true);
    expect(code).toBe(0);
  });

  test("names everything that is not well at once", async () => {
    const world = smallWorld([]);
    writeFileSync(feedbackPath(world.dataDir), "no database ".repeat(200));
    mkdirSync(join(world.dataDir, "adapters"));
    writeFileSync(join(world.dataDir, "adapters", "current"), "{");
    const settings = { ...world.settings, MODEL: "/missing.gguf", DISCORD_TOKEN: "abc" };
    const { code, stdout } = await runZephyr(settings, "doctor");
    expect(code).toBe(1);
    for (const name of ["model", "feedback", "adapters", "ports", "Discord token"]) {
      expect(stdout).toContain(`✗ ${name}:`);
    }
    expect(stdout).toContain("✓ Node.js");
    expect(stdout).not.toContain("abc");
  });

  test("a data folder of a newer release is refused, and named as such", async () => {
    const world = smallWorld([]);
    const database = new DatabaseSync(feedbackPath(world.dataDir));
    database.exec("PRAGMA user_version = 999");
    database.close();
    const looked = await runZephyr(world.settings, "doctor");
    expect(looked.stdout).toMatch(/✗ feedback: .* has version 999/);
    const exported = await runZephyr(world.settings, "feedback", "export", "--json");
    expect(exported.code).toBe(1);
    expect(JSON.parse(exported.stdout)).toMatchObject({ error: { code: "data_newer" } });
  });

  test("shows the guard, and a guard whose file is not there", async () => {
    const world = smallWorld([]);
    const nano = await runZephyr({ ...world.settings, GUARD_MODEL: "nano" }, "doctor");
    expect(nano.stdout).toMatch(
      /✓ guard: nano-guard at .*nano-guard\.gguf \(\d+ MiB\), asked as brief/,
    );
    const missing = { ...world.settings, GUARD_MODEL: "/missing-guard.gguf" };
    const { code, stdout } = await runZephyr(missing, "doctor");
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ guard: GUARD_MODEL: no model file at \/missing-guard\.gguf/);
  });

  test("says what is wrong with the settings", async () => {
    const { code, stdout } = await runZephyr({ ENGINE_PORT: "many" }, "doctor");
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ settings: .*ENGINE_PORT.*many/);
  });
});

test("zephyr model info describes the file", async () => {
  const world = smallWorld([]);
  const { code, stdout } = await runZephyr(world.settings, "model", "info", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    id: "random",
    architecture: "llama",
    layers: 2,
    width: 32,
    hasChatTemplate: true,
  });
});
