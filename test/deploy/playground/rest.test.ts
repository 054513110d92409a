import { describe, expect, test } from "vitest";
import { BOT_TOKEN, call, HandClock, openPlayground } from "./arena.ts";

describe("authorization", () => {
  test("a wrong token is answered with 401 in Discord's shape", async () => {
    const playground = await openPlayground();
    const response = await call(playground, "GET", "/users/@me", undefined, {
      authorization: "Bot wrong",
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ message: "401: Unauthorized", code: 0 });
  });

  test("the API answers with and without its version in the address", async () => {
    const playground = await openPlayground();
    const headers = { authorization: `Bot ${BOT_TOKEN}` };
    for (const path of ["/users/@me", "/v9/users/@me", "/v10/users/@me"]) {
      const response = await fetch(playground.apiUrl + path, { headers });
      expect(await response.json()).toMatchObject({ username: "Zephyr", bot: true });
    }
  });

  test("an unknown route is 404 with code 0", async () => {
    const playground = await openPlayground();
    const response = await call(playground, "GET", "/nothing/here");
    expect([response.status, await response.json()]).toEqual([
      404,
      { message: "404: Not Found", code: 0 },
    ]);
  });
});

describe("messages", () => {
  test("an empty 204 carries no content type", async () => {
    const playground = await openPlayground();
    const response = await call(
      playground,
      "POST",
      `/channels/${playground.channelId("general")}/typing`,
    );
    expect(response.status).toBe(204);
    expect(response.headers.get("content-type")).toBeNull();
    expect(await response.text()).toBe("");
  });

  test("2,000 characters are taken, one more is refused by field", async () => {
    const playground = await openPlayground();
    const path = `/channels/${playground.channelId("general")}/messages`;
    expect((await call(playground, "POST", path, { content: "x".repeat(2_000) })).status).toBe(200);
    const refused = await call(playground, "POST", path, { content: "x".repeat(2_001) });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toEqual({
      code: 50035,
      message: "Invalid Form Body",
      errors: {
        content: {
          _errors: [{ code: "BASE_TYPE_MAX_LENGTH", message: "Must be 2000 or fewer in length." }],
        },
      },
    });
  });

  test.each([
    ["nothing to say", {}, 50006],
    ["a reply to nothing", { content: "a", message_reference: { message_id: "123" } }, 50035],
    [
      "embeds of 6,001 characters",
      { embeds: [{ description: "x".repeat(4_000) }, { description: "x".repeat(2_001) }] },
      50035,
    ],
    ["an embed's title of 257 characters", { embeds: [{ title: "x".repeat(257) }] }, 50035],
    [
      "six rows",
      { content: "a", components: Array.from({ length: 6 }, (_, i) => row(`b${i}`)) },
      50035,
    ],
    [
      "two components of one custom id",
      { content: "a", components: [row("same"), row("same")] },
      50035,
    ],
    [
      "a button without custom id",
      { content: "a", components: [{ type: 1, components: [{ type: 2, style: 1, label: "x" }] }] },
      50035,
    ],
    [
      "content beside a layout",
      { content: "a", flags: 1 << 15, components: [{ type: 10, content: "t" }] },
      50035,
    ],
  ])("refuses %s", async (_, body, code) => {
    const playground = await openPlayground();
    const response = await call(
      playground,
      "POST",
      `/channels/${playground.channelId("general")}/messages`,
      body,
    );
    expect([response.status, (await response.json()).code]).toEqual([400, code]);
  });
});

describe("the life of messages", () => {
  test("broken JSON is 50109", async () => {
    const playground = await openPlayground();
    const response = await fetch(
      `${playground.apiUrl}/v10/channels/${playground.channelId("general")}/messages`,
      {
        method: "POST",
        headers: { authorization: `Bot ${BOT_TOKEN}`, "content-type": "application/json" },
        body: "{",
      },
    );
    expect((await response.json()).code).toBe(50109);
  });

  test("the bot edits and deletes its own messages, not other people's", async () => {
    const playground = await openPlayground();
    const channel = playground.channelId("general");
    const hers = playground.person("mira").say(channel, "mine");
    const own = await (
      await call(playground, "POST", `/channels/${channel}/messages`, { content: "a" })
    ).json();
    const edited = await (
      await call(playground, "PATCH", `/channels/${channel}/messages/${own.id}`, { content: "b" })
    ).json();
    expect(edited).toMatchObject({ content: "b", edited_timestamp: expect.any(String) });
    const refusedEdit = await call(
      playground,
      "PATCH",
      `/channels/${channel}/messages/${hers.id}`,
      { content: "b" },
    );
    expect((await refusedEdit.json()).code).toBe(50005);
    const refusedDelete = await call(
      playground,
      "DELETE",
      `/channels/${channel}/messages/${hers.id}`,
    );
    expect((await refusedDelete.json()).code).toBe(50013);
    expect(
      (await call(playground, "DELETE", `/channels/${channel}/messages/${own.id}`)).status,
    ).toBe(204);
    expect(
      (await (await call(playground, "GET", `/channels/${channel}/messages/${own.id}`)).json())
        .code,
    ).toBe(10008);
  });

  test("lists pages of messages, newest first", async () => {
    const playground = await openPlayground();
    const channel = playground.channelId("general");
    const mira = playground.person("mira");
    const ids = Array.from({ length: 6 }, (_, index) => mira.say(channel, `m${index}`).id);
    const list = async (query: string) => {
      const response = await call(playground, "GET", `/channels/${channel}/messages?${query}`);
      const messages: { id: string }[] = await response.json();
      return messages.map((message) => ids.indexOf(message.id));
    };
    expect(await list("limit=2")).toEqual([5, 4]);
    expect(await list(`limit=2&before=${ids[3]}`)).toEqual([2, 1]);
    expect(await list(`limit=2&after=${ids[1]}`)).toEqual([3, 2]);
    expect(await list(`limit=4&around=${ids[3]}`)).toEqual([5, 4, 3, 2]);
  });
});

describe("what comes with messages", () => {
  test("components come back with ids and the defaults that Discord fills in", async () => {
    const playground = await openPlayground();
    const select = { type: 3, custom_id: "s", options: [{ label: "a", value: "a" }] };
    const sent = await call(
      playground,
      "POST",
      `/channels/${playground.channelId("general")}/messages`,
      { content: "a", components: [row("b"), { type: 1, id: 2, components: [select] }] },
    );
    expect((await sent.json()).components).toMatchObject([
      { id: 1, components: [{ id: 3, custom_id: "b" }] },
      { id: 2, components: [{ id: 4, min_values: 1, max_values: 1 }] },
    ]);
  });

  test("uploads are kept, and served so that they cannot run as a page", async () => {
    const playground = await openPlayground();
    const form = new FormData();
    form.set(
      "payload_json",
      JSON.stringify({ content: "see", attachments: [{ id: 0, description: "d" }] }),
    );
    form.set(
      "files[0]",
      new Blob(["<script>alert(1)</script>"], { type: "text/html" }),
      "a page.html",
    );
    const sent = await call(
      playground,
      "POST",
      `/channels/${playground.channelId("general")}/messages`,
      form,
    );
    const [attachment] = (await sent.json()).attachments;
    expect(attachment).toMatchObject({ filename: "a_page.html", size: 25, description: "d" });
    const file = await fetch(attachment.url);
    expect(file.headers.get("content-type")).toBe("application/octet-stream");
    expect(file.headers.get("content-disposition")).toBe("attachment");
    expect(await file.text()).toBe("<script>alert(1)</script>");
  });

  test("mentions follow allowed_mentions", async () => {
    const playground = await openPlayground();
    const channel = playground.channelId("general");
    const mira = playground.person("mira");
    const hers = mira.say(channel, "question");
    const post = async (body: object) =>
      (await (await call(playground, "POST", `/channels/${channel}/messages`, body)).json())
        .mentions.length;
    const reply = { content: "answer", message_reference: { message_id: hers.id } };
    expect(await post({ content: `<@${mira.id}>` })).toBe(1);
    expect(await post({ content: `<@${mira.id}>`, allowed_mentions: { parse: [] } })).toBe(0);
    expect(await post(reply)).toBe(1);
    expect(await post({ ...reply, allowed_mentions: { parse: [] } })).toBe(0);
  });
});

describe("reactions", () => {
  test("placing one twice counts once, and what is no emoji is refused", async () => {
    const playground = await openPlayground();
    const channel = playground.channelId("general");
    const message = playground.person("mira").say(channel, "hello");
    const base = `/channels/${channel}/messages/${message.id}/reactions`;
    const clap = encodeURIComponent("👏");
    expect((await call(playground, "PUT", `${base}/${clap}/@me`)).status).toBe(204);
    playground.person("aiko").react(message.id, "👏");
    playground.person("aiko").react(message.id, "👏");
    const users = await (await call(playground, "GET", `${base}/${clap}`)).json();
    expect(users.map((user: { username: string }) => user.username)).toEqual(["Zephyr", "aiko"]);
    expect((await (await call(playground, "GET", `${base}/nope`)).json()).code).toBe(10014);
  });
});

describe("rate limits", () => {
  test("the sixth message in five seconds is a 429 that says when to come back", async () => {
    const clock = new HandClock();
    const playground = await openPlayground({ clock });
    const path = `/channels/${playground.channelId("general")}/messages`;
    const send = () => call(playground, "POST", path, { content: "a" });
    const first = await send();
    expect(first.headers.get("x-ratelimit-limit")).toBe("5");
    expect(first.headers.get("x-ratelimit-remaining")).toBe("4");
    for (let count = 0; count < 4; count += 1) await send();
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("x-ratelimit-scope")).toBe("user");
    expect(refused.headers.get("retry-after")).toBe("5");
    expect(await refused.json()).toEqual({
      message: "You are being rate limited.",
      retry_after: 5,
      global: false,
    });
    clock.forward(5_000);
    expect((await send()).status).toBe(200);
  });

  test("each channel has its own bucket of the same name", async () => {
    const playground = await openPlayground({ clock: new HandClock() });
    const send = (name: string) =>
      call(playground, "POST", `/channels/${playground.channelId(name)}/messages`, {
        content: "a",
      });
    const [here, there] = [await send("general"), await send("cooking")];
    expect(there.headers.get("x-ratelimit-remaining")).toBe("4");
    expect(there.headers.get("x-ratelimit-bucket")).toBe(here.headers.get("x-ratelimit-bucket"));
  });

  test("the fifty-first request of a second is refused globally", async () => {
    const playground = await openPlayground({ clock: new HandClock() });
    const paths = Array.from({ length: 51 }, (_, index) => `/channels/${index + 1}`);
    const responses = [];
    for (const path of paths) responses.push(await call(playground, "GET", path));
    const last = responses.at(-1);
    expect(last?.status).toBe(429);
    expect(last?.headers.get("x-ratelimit-global")).toBe("true");
    expect(await last?.json()).toMatchObject({ global: true });
  });
});

describe("other sites", () => {
  test.each([
    ["another Host, as a rebound name sends", { host: "evil.example" }],
    ["another site's Origin", { origin: "http://evil.example" }],
  ])("%s is refused", async (_, headers) => {
    const playground = await openPlayground();
    const { request } = await import("node:http");
    const status = await new Promise((resolve, reject) => {
      const sent = request(`${playground.url}/local/people`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on("error", reject).end();
    });
    expect(status).toBe(403);
  });
});

function row(customId: string): object {
  return { type: 1, components: [{ type: 2, style: 1, label: "x", custom_id: customId }] };
}
