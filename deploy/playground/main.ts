/** The playground's process: `node deploy/playground/main.ts [--json]`. Settings come from the environment. */
import { parseArgs } from "node:util";
import { systemClock } from "#engine/base/clock.ts";
import { loadConfig } from "#engine/base/config.ts";
import { runEntryPoint } from "#engine/base/entry-point.ts";
import { startPlayground } from "./start.ts";
import { readBotToken } from "./token.ts";

const json = process.argv.includes("--json");

await runEntryPoint("playground", json, async () => {
  parseArgs({ options: { json: { type: "boolean" } } });
  const config = loadConfig();
  const playground = await startPlayground({
    host: config.PLAYGROUND_HOST,
    port: config.PLAYGROUND_PORT,
    dataDir: config.DATA_DIR,
    botToken: readBotToken(config.DATA_DIR),
    clock: systemClock,
    logLevel: config.LOG_LEVEL,
    ...(config.ENGINE_URL === undefined ? {} : { engineUrl: config.ENGINE_URL }),
    ...(config.PLAYGROUND_RECORD === undefined ? {} : { recordTo: config.PLAYGROUND_RECORD }),
  });
  const { url, apiUrl: api, botToken: token } = playground;
  const listening = { event: "listening", service: "playground", url, api, token };
  process.stdout.write(json ? `${JSON.stringify(listening)}\n` : `The playground is at ${url}\n`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void playground.close());
  }
});
