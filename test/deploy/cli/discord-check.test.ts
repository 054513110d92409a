/** Against a loopback stand-in for the two calls: refusals and permissions that the playground never has. */
import { createServer } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkDiscord } from "#deploy/cli/discord-check.ts";
import { isCoded } from "#engine/base/errors.ts";

const ALL = (1n << 10n) | (1n << 11n) | (1n << 38n) | (1n << 16n) | (1n << 6n) | (1n << 7n);

async function discord(permissions: readonly bigint[], status = 200): Promise<string> {
  const guilds = permissions.map((bits, i) => ({ name: `Guild ${i}`, permissions: String(bits) }));
  const server = createServer((request, response) => {
    const isKnown = request.headers.authorization === "Bot token";
    response.writeHead(isKnown ? status : 401, { "content-type": "application/json" });
    const isGuilds = request.url === "/api/v10/users/@me/guilds";
    response.end(JSON.stringify(isGuilds ? guilds : { username: "zephyr" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/api`;
}

describe("the look at Discord", () => {
  it("says who the bot is and where", async () => {
    expect(await checkDiscord(await discord([ALL, ALL]), "token")).toBe(
      "works, as zephyr, in 2 servers",
    );
    expect(await checkDiscord(await discord([]), "token")).toContain("invite it");
  });

  it("names each missing permission by the name that Discord shows", async () => {
    const url = await discord([ALL, ALL & ~(1n << 38n) & ~(1n << 6n) & ~(1n << 7n)]);
    await expect(checkDiscord(url, "token")).rejects.toThrow(
      "Guild 1: Send Messages in Threads, Add Reactions, View Audit Log",
    );
  });

  it("advises against Administrator", async () => {
    expect(await checkDiscord(await discord([8n]), "token")).toContain("take that away");
  });

  it("tells a wrong token from a Discord that cannot be reached", async () => {
    const codeOf = (work: Promise<unknown>) =>
      work.catch((error: unknown) => (isCoded(error) ? error.code : error));
    expect(await codeOf(checkDiscord(await discord([]), "wrong"))).toBe("discord_token_invalid");
    expect(await codeOf(checkDiscord(await discord([], 500), "token"))).toBe("discord_unreachable");
    expect(await codeOf(checkDiscord("http://127.0.0.1:9/api", "token"))).toBe(
      "discord_unreachable",
    );
  });
});
