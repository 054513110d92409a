/** Each of `zephyr doctor`'s looks at what other servers and files there are, where it is well and where it is not. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import {
  lookAtBlocklist,
  lookAtLanguages,
  lookAtMasterKey,
  lookAtShards,
} from "#deploy/cli/bot-checks.ts";
import { lookAtGuard } from "#deploy/cli/guard-check.ts";
import { lookAtBackend, lookAtPictures, lookAtStores } from "#deploy/cli/server-checks.ts";
import { parseConfig } from "#engine/base/config.ts";
import { reply, startVendor } from "../../engine/backends/remote/vendor-server.ts";
import { POSTGRES, PostgresServer } from "../../servers/postgres-server.ts";
import { REDIS, RedisServer } from "../../servers/redis-server.ts";

const folder = mkdtempSync(join(tmpdir(), "doctor-"));
const NOBODY = "http://127.0.0.1:9";
const files = (name: string, entries: Readonly<Record<string, string>>) => {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(entries)) writeFileSync(join(path, file), text);
  return path;
};
const because = (missing: string | undefined) => (missing === undefined ? "" : ` (${missing})`);

afterAll(() => rmSync(folder, { recursive: true }));

/** A server with two models. */
const serving = (facts: Readonly<Record<string, unknown>> = {}) =>
  startVendor(({ path }, response) => {
    const known: Record<string, unknown> = {
      "/v1/models": { data: [{ id: "zephyr", max_model_len: 4096 }, { id: "other:latest" }] },
      ...facts,
    };
    return known[path] === undefined ? undefined : reply(response, known[path]);
  });

describe("the look at the backend", () => {
  it("says what the server serves, and what it takes", async () => {
    const { url } = await serving();
    const settings = { BACKEND_URL: url, BACKEND_KIND: "vllm", BACKEND_MODEL: "zephyr" };
    const said = await lookAtBackend(parseConfig(settings));
    expect(said).toContain("vllm: 4096 tokens of context, tools, no pictures (");
    expect(said).toContain("zephyr");
    const ollama = { BACKEND_URL: url, BACKEND_MODEL: "other" };
    expect(await lookAtBackend(parseConfig(ollama))).toContain("other");
  });

  it("names the models that there are where the one that is asked for is none of them", async () => {
    const { url } = await serving();
    const config = parseConfig({ BACKEND_URL: url, BACKEND_MODEL: "zefyr" });
    await expect(lookAtBackend(config)).rejects.toThrow(
      /BACKEND_MODEL: .* serves no zefyr; it serves zephyr, other:latest/,
    );
  });

  it("says which settings to check where nothing answers, or a key is missing", async () => {
    const away = parseConfig({ BACKEND_URL: NOBODY });
    await expect(lookAtBackend(away)).rejects.toThrow(
      /BACKEND_URL, BACKEND_KIND and BACKEND_API_KEY/,
    );
    const { url } = await startVendor((_, response) =>
      reply(response, { error: { message: "Unauthorized" } }, 401),
    );
    await expect(lookAtBackend(parseConfig({ BACKEND_URL: url }))).rejects.toThrow("Unauthorized");
  });
});

describe("the look at a guard on another server", () => {
  it("finds it, or says which setting names none", async () => {
    const { url } = await serving();
    const guard = (GUARD_MODEL: string, GUARD_URL: string) =>
      lookAtGuard(parseConfig({ GUARD_MODEL, GUARD_URL }));
    expect(await guard("zephyr", url)).toBe(`zephyr at ${url}`);
    await expect(guard("guard", url)).rejects.toThrow("GUARD_MODEL: ");
    await expect(guard("guard", NOBODY)).rejects.toThrow("GUARD_URL and GUARD_MODEL");
  });
});

describe("the look at pictures", () => {
  const pictures = (more: Record<string, string>) =>
    lookAtPictures(parseConfig({ BACKEND_URL: NOBODY, ...more }));

  it("says whether they are kept from the model, pass, or are checked, having shown one to the check", async () => {
    expect(await lookAtPictures(parseConfig({}))).toContain("no model that runs here");
    expect(await pictures({})).toMatch(/kept from the model: .*IMAGE_CHECK_URL/);
    expect(await pictures({ UNCHECKED_IMAGES: "allow" })).toContain("without a check");
    const results = [{ flagged: false, categories: {}, category_scores: { violence: 0 } }];
    const { url, requests } = await serving({ "/v1/moderations": { results } });
    expect(await pictures({ IMAGE_CHECK_URL: url })).toContain("omni-moderation-latest");
    expect(JSON.stringify(requests.at(-1)?.body)).toContain("data:image/png;base64,");
  });

  it("says what to do where the check does not answer, or another way", async () => {
    await expect(pictures({ IMAGE_CHECK_URL: NOBODY })).rejects.toThrow("IMAGE_CHECK_KEY");
    const { url } = await serving({ "/v1/moderations": { ok: true } });
    await expect(pictures({ IMAGE_CHECK_URL: url })).rejects.toThrow("IMAGE_CHECK_MODEL");
  });
});

describe("the look at where things are kept", () => {
  it("names the folder where there is no server, and the setting of one that is away, not its password", async () => {
    expect(await lookAtStores(parseConfig({ DATA_DIR: folder }))).toBe(`SQLite in ${folder}`);
    const away = parseConfig({ DATABASE_URL: "postgres://zephyr:secret@127.0.0.1:9/zephyr" });
    const error = await lookAtStores(away).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/DATABASE_URL \(127\.0\.0\.1:9\/zephyr\).*ECONNREFUSED/);
    expect(String(error)).not.toContain("secret");
  });

  it.skipIf(REDIS.missing !== undefined)(
    `says what a real Redis keeps${because(REDIS.missing)}`,
    async () => {
      await using redis = await RedisServer.open();

      const said = await lookAtStores(parseConfig({ REDIS_URL: redis.url }));
      expect(said).toMatch(/^Redis \d.* keeps conversations and settings$/);
    },
  );

  it.skipIf(POSTGRES.missing !== undefined)(
    `says that a real Postgres can be used, and leaves it as it was${because(POSTGRES.missing)}`,
    async () => {
      await using postgres = await PostgresServer.open();
      const said = await lookAtStores(parseConfig({ DATABASE_URL: postgres.url }));
      expect(said).toMatch(/^Postgres \d.* keeps conversations and settings$/);
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      const { rows } = await client.query("SELECT to_regclass('zephyr_entries') AS made");
      await client.end();
      expect(rows).toEqual([{ made: null }]);
    },
  );
});

describe("the looks at files", () => {
  const languages = (path: string) => lookAtLanguages(parseConfig({ LANGUAGE_DIR: path }));

  it("list the languages, and what a file lacks", () => {
    expect(lookAtLanguages(parseConfig({}))).toBe("de, en, es, fr, ja");
    const path = files("some", { "it.json": JSON.stringify({ "file.not_text": "{name} no." }) });
    expect(languages(path)).toMatch(/^de, en, es, fr, it, ja; .*messages are missing/);
  });

  it.each([
    ["a key that is none", { "it.json": '{"no.such.key": "x"}' }, /it\.json: .*no\.such\.key/],
    ["a file that is no JSON", { "it.json": "{" }, /it\.json/],
    ["a name of no language", { "my_words.json": "{}" }, /is not named after a language/],
  ])("refuse %s, naming the file", (_what, entries, why) => {
    expect(() => languages(files(`bad-${Math.random()}`, entries))).toThrow(why);
  });

  it("count the blocklist, and ask for its words where it has none", () => {
    const path = files("words", { "one.txt": "# mine\nfoo\nbar baz\n", "none.txt": "# nothing\n" });
    const look = (name: string) =>
      lookAtBlocklist(parseConfig({ BLOCKLIST_FILE: join(path, name) }));
    expect(look("one.txt")).toContain("2 words and phrases");
    expect(() => look("none.txt")).toThrow("one word or phrase a line");
    expect(() => look("gone.txt")).toThrow("could not read");
  });

  it("miss a master key only where something was sealed with one", () => {
    const path = files("sealed", {});
    const look = () => lookAtMasterKey(parseConfig({ DATA_DIR: path }));
    expect(look()).toContain("made at the first start");
    writeFileSync(join(path, "keys.db"), "");
    expect(look).toThrow(/no .*master\.key.*MASTER_KEY_FILE/);
    writeFileSync(join(path, "master.key"), "");
    expect(look()).toBe(join(path, "master.key"));
  });
});

describe("the look at shards", () => {
  const look = async (SHARDS: string, more: Record<string, string> = {}, isOnDiscord = true) => {
    const { url } = await startVendor((_, response) =>
      reply(response, {
        url: "wss://x",
        shards: 3,
        session_start_limit: { total: 9, remaining: 9, reset_after: 0, max_concurrency: 1 },
      }),
    );
    const token = isOnDiscord ? { DISCORD_TOKEN: "a.b.c" } : {};
    return lookAtShards(parseConfig({ SHARDS, DISCORD_API_URL: `${url}/api`, ...token, ...more }));
  };

  it("compares them with what Discord recommends", async () => {
    expect(await look("1", {}, false)).toBe("1 process");
    expect(await look("auto")).toMatch(/^3 processes, Discord recommends 3; without REDIS_URL/);
    expect(await look("4", { REDIS_URL: "redis://h" })).toBe("4 processes, Discord recommends 3");
    await expect(look("2")).rejects.toThrow("Set SHARDS=auto");
    await expect(look("0")).rejects.toThrow("SHARDS=0");
  });
});
