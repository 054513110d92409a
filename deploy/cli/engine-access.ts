/** How the command line reaches the engine: the one named by ENGINE_URL, or the one that runs here. */
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { readRunning } from "../start/running.ts";

const HEALTH_WAIT_MS = 2_000;

/** Where the engine should be: ENGINE_URL, what `npm start` noted, or the settings' own address. */
export function engineUrl(config: Config): string {
  const configured = `http://${config.ENGINE_HOST}:${config.ENGINE_PORT}`;
  return config.ENGINE_URL ?? readRunning(config.DATA_DIR)?.engineUrl ?? configured;
}

function engineClient(config: Config): EngineClient {
  const apiKey = config.ENGINE_API_KEY;
  return new EngineClient({
    url: engineUrl(config),
    ...(apiKey === undefined ? {} : { apiKey }),
  });
}

/** The client when the engine answers, undefined when none does. */
export async function runningEngine(config: Config): Promise<EngineClient | undefined> {
  const client = engineClient(config);
  try {
    await client.health(AbortSignal.timeout(HEALTH_WAIT_MS));
    return client;
  } catch (error) {
    if (error instanceof CodedError && error.code !== "engine_unreachable") throw error;
    return undefined;
  }
}
