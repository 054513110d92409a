#!/usr/bin/env node
/**
 * The engine's process: `node engine/service/main.ts [--json]`.
 * Loads the model and the current adapter, serves until SIGTERM or SIGINT, drains, and ends. With
 * `--json` it says on stdout, a JSON object a line, that it listens or why it does not.
 */
import { parseArgs } from "node:util";
import { openRegistry } from "../adapters/registry.ts";
import type { Backend } from "../backends/backend.ts";
import { systemClock } from "../base/clock.ts";
import { type Config, loadConfig } from "../base/config.ts";
import { CodedError } from "../base/errors.ts";
import { createLog, type Logger } from "../base/log.ts";
import { downloadModel } from "../llama/download.ts";
import { ServingAdapters } from "./adapters/serving-adapters.ts";
import { locateModel, type ModelLocation, type ModelSetting } from "./model-path.ts";
import { openBackend } from "./open-backend.ts";
import { openModeration } from "./open-moderation.ts";
import { type Service, startService } from "./server.ts";
import { Watchdog, watch } from "./watchdog.ts";

const DRAIN_MS = 30_000;
/** Progress of a download is told this often at most. */
const PROGRESS_EVERY_MS = 1_000;

type Running = {
  readonly service: Service;
  readonly backend: Backend;
  /** What the models take, the guard among them, in sentences for people; undefined where another server knows. */
  readonly memory: string | undefined;
  /** Models and their contexts, to be freed in turn. */
  readonly held: AsyncDisposableStack;
};

const USAGE = `Usage: node engine/service/main.ts [--json]

Serves the model that MODEL names at http://ENGINE_HOST:ENGINE_PORT/v1. Settings come from the
environment and from .env; .env.example explains each.

  --json   say on stdout, a JSON object a line, that the engine listens or why it does not
  --help   this text
`;

async function main(): Promise<void> {
  const values = readOptions();
  if (values === undefined) return;
  const announce = (line: Record<string, unknown>, text: string) => {
    process.stdout.write(values.json ? `${JSON.stringify(line)}\n` : `${text}\n`);
  };
  try {
    const config = loadConfig();
    const log = createLog("engine", config.LOG_LEVEL);
    const running = await start(config, log, announce);
    const { url } = running.service;
    const { memory } = running;
    if (memory !== undefined) log.info({ event: "memory_plan", memory });
    announce(
      { event: "listening", service: "engine", url },
      `Engine: ${running.backend.info.id} at ${url}/v1 (${running.backend.info.device})${memory === undefined ? "" : `\nMemory: ${memory}`}`,
    );
    endOnSignals(running, log);
  } catch (error) {
    const { code, message } = describeFailure(error);
    if (values.json) announce({ event: "failed", service: "engine", code, message }, message);
    process.stderr.write(`${message}\n`);
    process.exitCode = 1;
  }
}

/** The command line's options; undefined when it is answered by the usage. */
function readOptions(): { readonly json: boolean } | undefined {
  const flag = { type: "boolean", default: false } as const;
  try {
    const { values } = parseArgs({ options: { json: flag, help: flag } });
    if (values.help) process.stdout.write(USAGE);
    return values.help ? undefined : values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exitCode = 2;
    return undefined;
  }
}

async function start(
  config: Config,
  log: Logger,
  announce: (line: Record<string, unknown>, text: string) => void,
): Promise<Running> {
  const registry = openRegistry(config.DATA_DIR);
  const fetchModel = (name: string, setting?: ModelSetting) =>
    locate(name, config, announce, setting);
  const { backend, local } = await openBackend(config, fetchModel);
  const held = new AsyncDisposableStack();
  held.use(backend);
  try {
    const checks = held.use(
      await openModeration(config, {
        chat: local,
        locate: fetchModel,
        log,
      }),
    );
    const service = await startService({
      backend,
      adapters: await ServingAdapters.open({ registry, backend, log }),
      moderation: checks.moderation,
      clock: systemClock,
      log,
      host: config.ENGINE_HOST,
      port: config.ENGINE_PORT,
      queueLimit: config.QUEUE_LIMIT,
      ...(config.GUARD_MODEL === "off" ? {} : { checkStreams: config.GUARD_STREAMS }),
      deadlineMs: config.REQUEST_DEADLINE_S * 1000,
      imageUrls: config.IMAGE_URLS,
      apiKeys: [
        ...(config.ENGINE_API_KEY === undefined ? [] : [config.ENGINE_API_KEY]),
        ...config.ENGINE_CLIENT_KEYS,
      ],
    });
    // Another server's progress is out of sight.
    if (local !== undefined) {
      held.use(watch(new Watchdog(backend, systemClock), (stillMs) => endHung(stillMs, log)));
    }
    return { service, backend, memory: memoryOf(backend, checks.memory), held };
  } catch (error) {
    await held.disposeAsync();
    throw error;
  }
}

function memoryOf({ info }: Backend, guard: string | undefined): string | undefined {
  const parts = [
    ...(info.memory === undefined ? [] : [info.memory]),
    ...(guard === undefined ? [] : [`Guard: ${guard}`]),
  ];
  return parts.length === 0 ? undefined : parts.join(" ");
}

function locate(
  model: string,
  config: Config,
  announce: (line: Record<string, unknown>, text: string) => void,
  setting?: ModelSetting,
): Promise<ModelLocation> {
  let toldMs = Number.NEGATIVE_INFINITY;
  const fetchModel = (uri: string, folder: string) =>
    downloadModel(uri, {
      folder,
      onProgress: ({ downloadedBytes, totalBytes }) => {
        const nowMs = systemClock.monotonicMs();
        if (nowMs - toldMs < PROGRESS_EVERY_MS && downloadedBytes < totalBytes) return;
        toldMs = nowMs;
        announce(
          { event: "downloading", service: "engine", model: uri, downloadedBytes, totalBytes },
          `Downloading ${uri}: ${downloadedBytes >> 20} of ${totalBytes >> 20} MiB`,
        );
      },
    });
  return locateModel(model, config.DATA_DIR, fetchModel, setting);
}

/** Nothing is drained: what hangs would hang the draining, too. */
function endHung(stillMs: number, log: Logger): void {
  log.fatal({ event: "hung", stillMs });
  process.exit(1);
}

function endOnSignals({ service, held }: Running, log: Logger): void {
  let isEnding = false;
  const end = (signal: NodeJS.Signals) => {
    // A second signal means that the first was not quick enough.
    if (isEnding) process.exit(1);
    isEnding = true;
    log.info({ event: "draining", signal });
    service
      .drain(DRAIN_MS)
      .then(() => held.disposeAsync())
      .then(() => log.info({ event: "ended" }))
      .catch((error: unknown) => {
        log.error({ event: "end_failed", err: error });
        process.exitCode = 1;
      });
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

function describeFailure(error: unknown): { code: string; message: string } {
  if (error instanceof CodedError) return { code: error.code, message: error.message };
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "internal_error", message: `The engine could not start: ${what}` };
}

await main();
