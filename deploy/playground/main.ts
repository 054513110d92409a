/** The playground's process: `node deploy/playground/main.ts [--json]`. Settings come from the environment. */
import { parseArgs } from "node:util";
import { systemClock } from "#engine/base/clock.ts";
import { loadConfig } from "#engine/base/config.ts";
import { reportFailure } from "#engine/base/entry-point.ts";
import { startPlayground } from "./start.ts";
import { readBotToken } from "./token.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const config = loadConfig();
  const playground = await startPlayground({
    host: config.PLAYGROUND_HOST,
    port: config.PLAYGROUND_PORT,
    dataDir: config.DATA_DIR,
    botToken: readBotToken(config.DATA_DIR),
    clock: systemClock,
    logLevel: config.LOG_LEVEL,
    ...(config.ENGINE_URL === undefined ? {} : { engineUrl: config.ENGINE_URL }),
  });
  const { url, apiUrl, botToken } = playground;
  const listening = {
    event: "listening",
    service: "playground",
    url,
    api: apiUrl,
    token: botToken,
  };
  process.stdout.write(
    values.json ? `${JSON.stringify(listening)}\n` : `The playground is at ${url}\n`,
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void playground.close().then(() => process.exit(0)));
  }
}

main().catch((error: unknown) => {
  reportFailure("playground", process.argv.includes("--json"), error);
  process.exit(1);
});
