/**
 * What `zephyr doctor` says of the bot's own settings: its words in other languages, the operator's blocklist, and
 * in how many processes it runs.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { planShards } from "#bot/discord/gateway/sharding.ts";
import { loadLanguages } from "#bot/language/languages.ts";
import type { Config } from "#engine/base/config.ts";
import { readBlocklist } from "#engine/moderation/lexical.ts";

const NAMED_PROBLEMS = 3;

/**
 * The languages that there are.
 * @throws CodedError `config_invalid` where LANGUAGE_DIR cannot be read; Error naming messages that are not taken
 */
export function lookAtLanguages({ LANGUAGE_DIR: folder }: Config): string {
  const problems: string[] = [];
  const gaps: string[] = [];
  const languages = loadLanguages(folder, (path, problem) => {
    if (/ are missing, and are said in English/.test(problem)) gaps.push(`${path}: ${problem}`);
    else problems.push(`${path}: ${problem}`);
  });
  if (problems.length > 0) {
    const more = problems.length - NAMED_PROBLEMS;
    const rest = more > 0 ? `; and ${more} more` : "";
    throw new Error(
      `${problems.slice(0, NAMED_PROBLEMS).join("; ")}${rest}. These messages are not taken: correct them as in bot/language/de.json.`,
    );
  }
  return [languages.codes.join(", "), ...gaps].join("; ");
}

/** The operator's own words. @throws CodedError `config_invalid` */
export function lookAtBlocklist({ BLOCKLIST_FILE: path }: Config): string {
  if (path === undefined) return "none";
  const words = readBlocklist(path);
  if (words.length > 0) return `${words.length} words and phrases in ${path}`;
  throw new Error(
    `${path} holds no words. Write one word or phrase a line, or unset BLOCKLIST_FILE.`,
  );
}

/**
 * In how many processes the bot runs, beside what Discord recommends.
 * @throws CodedError `discord_token_invalid`, `discord_unreachable`; Error where there are too few
 */
export async function lookAtShards(config: Config): Promise<string> {
  const { SHARDS: asked, DISCORD_TOKEN: token, DISCORD_API_URL: apiUrl, REDIS_URL } = config;
  if (asked === 0) throw new Error("SHARDS=0 is no number of processes. Set 1 or more, or auto.");
  if (asked === 1 && token === undefined) return "1 process";
  if (token === undefined) return `${asked}: settled with Discord once there is a token`;
  const { count: recommended } = await planShards({ apiUrl, token }, "auto");
  const count = asked === "auto" ? recommended : asked;
  if (count < recommended) {
    throw new Error(
      `${count} of the ${recommended} that Discord recommends, which may refuse the connection. Set SHARDS=auto.`,
    );
  }
  const limits =
    count > 1 && REDIS_URL === undefined
      ? "; without REDIS_URL each counts the limits by person for itself"
      : "";
  return `${count} ${count === 1 ? "process" : "processes"}, Discord recommends ${recommended}${limits}`;
}

/**
 * The key that opens what people wrote.
 * @throws Error where it is gone, though people's keys were made with one
 */
export function lookAtMasterKey({ MASTER_KEY_FILE, DATA_DIR }: Config): string {
  const path = MASTER_KEY_FILE ?? join(DATA_DIR, "master.key");
  if (existsSync(path)) return path;
  if (!existsSync(join(DATA_DIR, "keys.db"))) return `${path}, made at the first start`;
  throw new Error(
    `There is no ${path}, but people's keys in ${DATA_DIR} were made with one. Put it back, or name it by MASTER_KEY_FILE: without it nothing that people wrote can be read.`,
  );
}
