import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { AuditLogEvent, GatewayIntentBits } from "discord.js";
import { describe, expect, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { startPlayground } from "#deploy/playground/start.ts";
import { BOT_TOKEN, call, freshFolder, HandClock, logIn, openPlayground } from "./arena.ts";

const GUILD = "1200000000000000001";
const OWNER = "1200000000000000011";
const BLIND = 309_237_763_136n;
const DAY_MS = 24 * 60 * 60_000;

async function read(playground: Playground, query = "") {
  const response = await call(playground, "GET", `/guilds/${GUILD}/audit-logs${query}`);
  return { status: response.status, body: await response.json() };
}
const targets = (body: { audit_log_entries: readonly { target_id: string }[] }) =>
  body.audit_log_entries.map(({ target_id }) => target_id);

const DOCUMENT = process.env["DISCORD_OPENAPI"];

test.skipIf(DOCUMENT === undefined || DOCUMENT === "")(
  "the audit log's answer is one that Discord's published document allows",
  async () => {
    const { components } = JSON.parse(readFileSync(DOCUMENT ?? "", "utf8"));
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema({ $id: "discord", components });
    const allows = ajv.compile({ $ref: "discord#/components/schemas/GuildAuditLogResponse" });
    const playground = await openPlayground();
    const { moderators } = playground;
    for (const act of ["ban", "unban", "kick", "timeOut", "endTimeOut"] as const) {
      moderators[act](playground.person(act).id);
    }
    const { body } = await read(playground);
    expect([allows(body), allows.errors, body.audit_log_entries.length]).toEqual([true, null, 5]);
    expect(allows({ ...body, users: undefined, audit_log_entries: [{ id: 1 }] })).toBe(false);
  },
);

describe("the audit log is listed", () => {
  test("with bans, removals and time-outs and who did them, newest first", async () => {
    const playground = await openPlayground();
    const [a, b, c] = ["a", "b", "c"].map((name) => playground.person(name).id);
    playground.moderators.ban(a ?? "", "spam");
    playground.moderators.kick(b ?? "");
    playground.moderators.timeOut(c ?? "");
    const { status, body } = await read(playground);
    expect(status).toBe(200);
    const id = expect.stringMatching(/^\d+$/);
    expect(body.audit_log_entries).toEqual([
      {
        ...{ id, user_id: OWNER, target_id: c, action_type: AuditLogEvent.MemberUpdate },
        changes: [{ key: "communication_disabled_until", new_value: expect.any(String) }],
      },
      { id, user_id: OWNER, target_id: b, action_type: AuditLogEvent.MemberKick },
      ...[{ id, user_id: OWNER, target_id: a, action_type: 22, reason: "spam" }],
    ]);
    expect(body.users.map((user: { id: string }) => user.id)).toEqual([OWNER, c, b, a]);
    expect(body).toMatchObject({ webhooks: [], threads: [], auto_moderation_rules: [] });
  });

  test("by action, person and page; after an id oldest first", async () => {
    const playground = await openPlayground();
    const ids = ["a", "b", "c", "d"].map((name) => playground.person(name).id);
    for (const id of ids) playground.moderators.kick(id);
    playground.moderators.ban(ids[0] ?? "");
    const { body } = await read(playground, "?action_type=20&limit=2");
    expect(targets(body)).toEqual([ids[3], ids[2]]);
    const before = body.audit_log_entries.at(-1).id;
    const older = (await read(playground, `?action_type=20&before=${before}`)).body;
    expect(targets(older)).toEqual([ids[1], ids[0]]);
    const after = older.audit_log_entries.at(-1).id;
    const newer = (await read(playground, `?after=${after}&limit=3`)).body;
    expect(targets(newer)).toEqual([ids[1], ids[2], ids[3]]);
    expect(targets((await read(playground, `?target_id=${ids[0]}`)).body)).toEqual([
      ids[0],
      ids[0],
    ]);
    expect(targets((await read(playground, `?user_id=${ids[0]}`)).body)).toEqual([]);
  });

  test.each(["?limit=0", "?limit=101", "?after=x", "?action_type=kick"])(
    "refuses %s by its field",
    async (query) => {
      const { status, body } = await read(await openPlayground(), query);
      expect([status, body.code]).toEqual([400, 50035]);
    },
  );
});

describe("the audit log", () => {
  test("is closed, and told to nobody, without the permission to view it", async () => {
    const playground = await openPlayground({ botPermissions: BLIND });
    const { status, body } = await read(playground);
    expect([status, body.code]).toEqual([403, 50013]);
    const client = await logIn(playground, [GatewayIntentBits.GuildModeration]);
    const heard: string[] = [];
    client.on("guildAuditLogEntryCreate", () => heard.push("entry"));
    const banned = new Promise((resolve) => client.once("guildBanAdd", resolve));
    playground.moderators.kick(playground.person("a").id);
    playground.moderators.ban(playground.person("b").id);
    await banned;
    expect(heard).toEqual([]);
  });

  test("is told by discord.js as it happens, under the same id as it is listed later, also after a restart", async () => {
    const [clock, dataDir] = [new HandClock(), freshFolder()];
    const options = { host: "127.0.0.1", port: 0, dataDir, botToken: BOT_TOKEN, clock };
    const playground = await startPlayground(options);
    const client = await logIn(playground, [GatewayIntentBits.GuildModeration]);
    const told = new Promise<string>((resolve) =>
      client.once("guildAuditLogEntryCreate", ({ id }) => resolve(id)),
    );
    playground.moderators.kick(playground.person("a").id);
    const id = await told;
    const log = await client.guilds.cache.get(GUILD)?.fetchAuditLogs({ type: 20 });
    expect([...(log?.entries.keys() ?? [])]).toEqual([id]);
    await client.destroy();
    await playground.close();
    clock.forward(44 * DAY_MS);
    const again = await openPlayground({ clock, dataDir });
    expect((await read(again)).body.audit_log_entries).toMatchObject([{ id }]);
    clock.forward(2 * DAY_MS);
    expect((await read(again)).body.audit_log_entries).toEqual([]);
    again.moderators.kick(again.person("b").id);
    expect(BigInt((await read(again)).body.audit_log_entries[0].id)).toBeGreaterThan(BigInt(id));
  });
});
