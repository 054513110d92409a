/**
 * Which process gets which settings. The engine never gets Discord's token: an empty value unsets it
 * even where `.env` has one. It knows nothing of how processes are run.
 */
import type { Config } from "#engine/base/config.ts";
import type { ChildSpec } from "./child.ts";

/** Where the playground is and how the bot gets in. */
export type Playground = { readonly url: string; readonly api: string; readonly token: string };

const NO_DISCORD = { DISCORD_TOKEN: "", DISCORD_TOKEN_FILE: "" } as const;

/** The engine. @param port where it came up before; undefined to let its settings choose */
export function engineSpec(config: Config, port: number | undefined): ChildSpec {
  return {
    name: "engine",
    entry: "engine/service/main.ts",
    args: ["--json"],
    env: {
      ...NO_DISCORD,
      DATA_DIR: config.DATA_DIR,
      ENGINE_PORT: String(port ?? config.ENGINE_PORT),
    },
  };
}

/**
 * The playground.
 * @param engineUrl the engine whose state its page shows
 * @param port where it came up before
 */
export function playgroundSpec(
  config: Config,
  engineUrl: string,
  port: number | undefined,
): ChildSpec {
  return {
    name: "playground",
    entry: "deploy/playground/main.ts",
    args: ["--json"],
    env: {
      ...NO_DISCORD,
      DATA_DIR: config.DATA_DIR,
      ENGINE_URL: engineUrl,
      PLAYGROUND_PORT: String(port ?? config.PLAYGROUND_PORT),
    },
  };
}

/** The bot, in real Discord or in the playground. */
export function botSpec(
  config: Config,
  engineUrl: string,
  playground: Playground | undefined,
): ChildSpec {
  const place =
    playground === undefined
      ? {}
      : {
          DISCORD_TOKEN: playground.token,
          DISCORD_TOKEN_FILE: "",
          DISCORD_API_URL: playground.api,
        };
  return {
    name: "bot",
    entry: config.SHARDS === 1 ? "bot/main.ts" : "deploy/shards/main.ts",
    args: ["--json"],
    env: { DATA_DIR: config.DATA_DIR, ENGINE_URL: engineUrl, ...place },
  };
}

/** What the training process is told. */
export function trainerEnvironment(engineUrl: string): Readonly<Record<string, string>> {
  return { ...NO_DISCORD, ENGINE_URL: engineUrl };
}
