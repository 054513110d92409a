import { GatewayIntentBits, MessageFlags } from "discord.js";
import { describe, expect, test } from "vitest";
import type { Playground } from "#deploy/playground/playground.ts";
import { BOT_ID, call, type Frame, HandClock, openPlayground, RawGateway } from "./arena.ts";

const NO_AUTHORIZATION = {};

describe("deadlines", () => {
  test("without a response in three seconds the command has failed, and answering it is refused", async () => {
    const { playground, clock, gateway } = await setUp();
    const used = playground.person("mira").slash(playground.channelId("general"), "help");
    const { id, token } = await interactionOf(gateway);
    clock.forward(2_999);
    playground.tick();
    clock.forward(1);
    playground.tick();
    expect(await used).toEqual({ kind: "failed" });
    const late = await respond(playground, id, token, { type: 4, data: { content: "late" } });
    expect([late.status, (await late.json()).code]).toEqual([404, 10062]);
  });

  test("a token is good for fifteen minutes", async () => {
    const { playground, clock, gateway } = await setUp();
    const used = playground.person("mira").slash(playground.channelId("general"), "help");
    const { id, token } = await interactionOf(gateway);
    expect((await respond(playground, id, token, { type: 5 })).status).toBe(204);
    await used;
    const edit = () =>
      call(
        playground,
        "PATCH",
        `/webhooks/${BOT_ID}/${token}/messages/%40original`,
        { content: "x" },
        NO_AUTHORIZATION,
      );
    clock.forward(15 * 60_000 - 1);
    expect((await edit()).status).toBe(200);
    clock.forward(1);
    const late = await edit();
    expect([late.status, (await late.json()).code]).toEqual([401, 50027]);
  });
});

describe("responses", () => {
  test("a second first response is 40060", async () => {
    const { playground, gateway } = await setUp();
    void playground.person("mira").slash(playground.channelId("general"), "help");
    const { id, token } = await interactionOf(gateway);
    await respond(playground, id, token, { type: 4, data: { content: "once" } });
    const again = await respond(playground, id, token, { type: 4, data: { content: "twice" } });
    expect((await again.json()).code).toBe(40060);
  });

  test("a refused body leaves the interaction open for a right one", async () => {
    const { playground, gateway } = await setUp();
    const used = playground.person("mira").slash(playground.channelId("general"), "help");
    const { id, token } = await interactionOf(gateway);
    const refused = await respond(playground, id, token, {
      type: 4,
      data: { content: "x".repeat(2_001) },
    });
    expect((await refused.json()).code).toBe(50035);
    const unfit = await respond(playground, id, token, { type: 8, data: { choices: [] } });
    expect((await unfit.json()).code).toBe(50035);
    await respond(playground, id, token, { type: 4, data: { content: "short" } });
    expect(await used).toMatchObject({ kind: "message", message: { content: "short" } });
  });

  test("with_response tells which message was made", async () => {
    const { playground, gateway } = await setUp();
    void playground.person("mira").slash(playground.channelId("general"), "help");
    const { id, token } = await interactionOf(gateway);
    const response = await respond(
      playground,
      id,
      token,
      { type: 5, data: { flags: 64 } },
      "?with_response=true",
    );
    expect(await response.json()).toMatchObject({
      interaction: {
        id,
        type: 2,
        response_message_loading: true,
        response_message_ephemeral: true,
      },
      resource: { type: 5, message: { flags: MessageFlags.Loading | MessageFlags.Ephemeral } },
    });
  });
});

describe("follow-ups and ephemeral answers", () => {
  test("the first follow-up fills a deferred answer, the next is a message of its own", async () => {
    const { playground, gateway } = await setUp();
    const general = playground.channelId("general");
    void playground.person("mira").slash(general, "help");
    const { id, token } = await interactionOf(gateway);
    await respond(playground, id, token, { type: 5 });
    for (const content of ["first", "second"]) {
      await call(playground, "POST", `/webhooks/${BOT_ID}/${token}`, { content }, NO_AUTHORIZATION);
    }
    const [filled, next] = playground.messages(general);
    expect(filled).toMatchObject({ content: "first", flags: 0, edited_timestamp: null });
    expect(next).toMatchObject({
      content: "second",
      message_reference: { message_id: filled?.id },
    });
  });

  test("what only one person sees is neither sent on the gateway nor shown to others", async () => {
    const { playground, gateway } = await setUp();
    const general = playground.channelId("general");
    const mira = playground.person("mira");
    const used = mira.slash(general, "help");
    const { id, token } = await interactionOf(gateway);
    await respond(playground, id, token, { type: 4, data: { content: "secret", flags: 64 } });
    await used;
    const open = mira.say(general, "open");
    await gateway.frame((frame) => frame.t === "MESSAGE_CREATE" && Object(frame.d).id === open.id);
    expect(gateway.frames.filter((frame) => frame.t === "MESSAGE_CREATE")).toHaveLength(1);
    expect(mira.messages(general).map((message) => message.content)).toEqual(["secret", "open"]);
    expect(
      playground
        .person("aiko")
        .messages(general)
        .map((message) => message.content),
    ).toEqual(["open"]);
  });
});

describe("commands", () => {
  test("are checked as Discord checks them, and keep their ids when they are set again", async () => {
    const { playground } = await setUp();
    const put = (body: unknown) =>
      call(playground, "PUT", `/applications/${BOT_ID}/commands`, body);
    const refused = await put([{ name: "Bad Name", description: "x" }]);
    expect([refused.status, Object.keys((await refused.json()).errors[0])]).toEqual([
      400,
      ["name"],
    ]);
    const [before] = await (await put([{ name: "help", description: "a" }])).json();
    const [after] = await (
      await put([
        { name: "help", description: "b" },
        { name: "new", description: "c" },
      ])
    ).json();
    expect(after).toMatchObject({ id: before.id, description: "b" });
    expect(after.version).not.toBe(before.version);
    const twice = await put([
      { name: "help", description: "a" },
      { name: "help", description: "a" },
    ]);
    expect(twice.status).toBe(400);
  });

  test("those for managers are offered to managers only", async () => {
    const { playground } = await setUp();
    const manageGuild = String(1 << 5);
    const body = [{ name: "settings", description: "x", default_member_permissions: manageGuild }];
    await call(playground, "PUT", `/applications/${BOT_ID}/commands`, body);
    const general = playground.channelId("general");
    expect(playground.person("mira").commandNames(general)).toEqual(["settings"]);
    expect(playground.person("aiko").commandNames(general)).toEqual([]);
  });
});

async function setUp(): Promise<{ playground: Playground; clock: HandClock; gateway: RawGateway }> {
  const clock = new HandClock();
  const playground = await openPlayground({ clock });
  const gateway = new RawGateway(playground);
  await gateway.identify(GatewayIntentBits.Guilds | GatewayIntentBits.GuildMessages);
  await call(playground, "PUT", `/applications/${BOT_ID}/commands`, [
    { name: "help", description: "Help" },
  ]);
  return { playground, clock, gateway };
}

async function interactionOf(gateway: RawGateway): Promise<{ id: string; token: string }> {
  const frame: Frame = await gateway.frame((each) => each.t === "INTERACTION_CREATE");
  const { id, token } = Object(frame.d);
  return { id: String(id), token: String(token) };
}

function respond(
  playground: Playground,
  id: string,
  token: string,
  body: object,
  query = "",
): Promise<Response> {
  return call(
    playground,
    "POST",
    `/interactions/${id}/${token}/callback${query}`,
    body,
    NO_AUTHORIZATION,
  );
}
