/** Asks Discord whether the bot's token works and what the bot may do where it is. It changes nothing. */
import { z } from "zod";
import { CodedError } from "#engine/base/errors.ts";

/** https://discord.com/developers/docs/topics/permissions#permissions-bitwise-permission-flags */
const NEEDED: Readonly<Record<string, bigint>> = {
  "View Channels": 1n << 10n,
  "Send Messages": 1n << 11n,
  "Send Messages in Threads": 1n << 38n,
  "Read Message History": 1n << 16n,
  "Add Reactions": 1n << 6n,
  // Without it Discord tells of no removal and no time-out, and bans while the bot is away stay unknown.
  "View Audit Log": 1n << 7n,
};
const ADMINISTRATOR = 1n << 3n;
const TIMEOUT_MS = 10_000;

const userSchema = z.object({ username: z.string() });
const guildsSchema = z.array(z.object({ name: z.string(), permissions: z.string() }));

/**
 * Who the bot is and whether it has what it needs, in a sentence.
 * @param apiUrl Discord's API, without a version
 * @throws CodedError `discord_token_invalid`, `discord_unreachable`; Error naming missing permissions
 */
export async function checkDiscord(apiUrl: string, token: string): Promise<string> {
  const { username } = userSchema.parse(await ask(apiUrl, token, "/users/@me"));
  const guilds = guildsSchema.parse(await ask(apiUrl, token, "/users/@me/guilds"));
  const lacking = guilds.flatMap(({ name, permissions }) => {
    const missing = missingPermissions(BigInt(permissions));
    return missing.length === 0 ? [] : [`${name}: ${missing.join(", ")}`];
  });
  if (lacking.length > 0) {
    throw new Error(
      `${username} lacks permissions (${lacking.join("; ")}). Give its role these, or invite it anew by the address that "npm start" prints.`,
    );
  }
  const tooMuch = guilds.filter(({ permissions }) => (BigInt(permissions) & ADMINISTRATOR) !== 0n);
  const note =
    tooMuch.length === 0
      ? ""
      : `; it is Administrator in ${tooMuch.map(({ name }) => name).join(", ")}, which it does not need: take that away`;
  const where = guilds.length === 0 ? "in no server yet: invite it" : `in ${guilds.length} servers`;
  return `works, as ${username}, ${where}${note}`;
}

function missingPermissions(permissions: bigint): readonly string[] {
  if ((permissions & ADMINISTRATOR) !== 0n) return [];
  return Object.entries(NEEDED)
    .filter(([, bit]) => (permissions & bit) === 0n)
    .map(([name]) => name);
}

async function ask(apiUrl: string, token: string, path: string): Promise<unknown> {
  const url = `${apiUrl.replace(/\/+$/, "")}/v10${path}`;
  const headers = { authorization: `Bot ${token}` };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { headers, signal }).catch((cause: unknown) => {
    throw new CodedError(
      `Discord cannot be reached at ${apiUrl}, so the token could not be tried. Check the network, and DISCORD_API_URL.`,
      { code: "discord_unreachable", cause },
    );
  });
  if (response.status === 401) {
    throw new CodedError(
      "Discord does not accept the token. Copy it anew: Developer Portal → your application → Bot → Reset token.",
      { code: "discord_token_invalid" },
    );
  }
  if (!response.ok) {
    throw new CodedError(`Discord answered ${response.status}. Try again in a minute.`, {
      code: "discord_unreachable",
    });
  }
  const body: unknown = await response.json();
  return body;
}
