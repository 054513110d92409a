/** The token that the bot logs into this playground with: made once, kept beside the chat. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { BOT_ID } from "./world/seed.ts";

/**
 * Reads the token, or makes one of Discord's form. It stays the same over restarts, so that a bot
 * can resume; it opens nothing but this playground.
 */
export function readBotToken(dataDir: string): string {
  const path = join(dataDir, "playground", "bot-token");
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const parts = [Buffer.from(BOT_ID), randomBytes(4), randomBytes(28)];
  const token = parts.map((part) => part.toString("base64url")).join(".");
  writeFileAtomic(path, `${token}\n`);
  return token;
}
