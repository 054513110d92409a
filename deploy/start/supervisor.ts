/**
 * What `npm start` runs: engine, playground (where there is no Discord token), bot and the nightly
 * training, each in its own process. It passes their failures on as one message and ends them in
 * order. It knows nothing of what they say to each other.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { aborted } from "node:util";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { takeLock } from "#engine/base/exclusive-lock.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import type { Announce } from "./announce.ts";
import type { ChildLine } from "./child.ts";
import { parseLogLine } from "./log-lines.ts";
import { assertPortFree } from "./ports.ts";
import { needingRestart } from "./reload.ts";
import { forgetRunning, noteRunning } from "./running.ts";
import { type Service, superviseService } from "./service.ts";
import type { ManagerLink } from "./service-manager.ts";
import {
  botSpec,
  engineSpec,
  type Playground,
  playgroundSpec,
  trainerEnvironment,
} from "./specs.ts";
import { scheduleTraining, type Training } from "./training.ts";

/** What the supervisor needs of the world. */
export type SupervisorOptions = {
  readonly config: Config;
  readonly reload?: Reload | undefined;
  readonly announce: Announce;
  /** Where each line of the children's logs goes. */
  readonly onLog: (line: string) => void;
  /** The service manager that started this process, if one did. */
  readonly manager?: ManagerLink | undefined;
  /** Aborting begins the orderly end. */
  readonly stop: AbortSignal;
};

/** How settings are read again while everything runs. */
type Reload = {
  /** The settings as they are now. @throws CodedError `config_invalid` */
  readonly read: () => Config;
  /** Has `listener` called whenever somebody wants them read. */
  readonly whenAsked: (listener: () => void) => void;
};

/** How long running answers may take to finish at the end. */
const GRACE_MS = 30_000;
/** A remote engine that does not answer within this long is a failure to start. */
const REMOTE_ENGINE_WAIT_MS = 30_000;
/** A service that is not up again after so long is beyond our help; a large model may take minutes to load. */
const RECOVERY_MS = 600_000;
const HEALTH_TIMEOUT_MS = 10_000;

/**
 * Runs everything until `stop` is aborted.
 * @throws CodedError what keeps it from starting or running, after all children have ended
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  const { config } = options;
  const lock = takeLock(join(config.DATA_DIR, "supervisor.lock"));
  if (!lock.held) {
    throw new CodedError(
      `Another zephyr (process ${lock.holder}) uses the data folder ${config.DATA_DIR}. Stop that one, or set DATA_DIR to another folder.`,
      { code: "address_in_use" },
    );
  }
  using _ = lock;
  await assertPortsFree(config);
  const house = new House(options);
  let wasReady = false;
  try {
    await house.open();
    wasReady = true;
    options.reload?.whenAsked(() => house.reload());
    await house.untilStopped();
  } catch (error) {
    // Being asked to stop while starting is no failure.
    if (error !== options.stop.reason) throw error;
  } finally {
    options.announce({ event: "stopping", wasReady });
    await house.close();
    options.announce({ event: "stopped" });
  }
}

async function assertPortsFree(config: Config): Promise<void> {
  if (config.ENGINE_URL === undefined) {
    await assertPortFree("ENGINE_PORT", config.ENGINE_HOST, config.ENGINE_PORT);
  }
  if (config.DISCORD_TOKEN === undefined) {
    await assertPortFree("PLAYGROUND_PORT", config.PLAYGROUND_HOST, config.PLAYGROUND_PORT);
  }
}

/** The running services, and the promise that ends when one of them fails for good. */
class House {
  readonly #options: SupervisorOptions;
  readonly #services = new Map<string, Service>();
  #config: Config;
  #reloading = Promise.resolve();
  readonly #failed = Promise.withResolvers<never>();
  #training: Training | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#config = options.config;
    // Awaited in races only; a failure while closing must not count as unhandled.
    this.#failed.promise.catch(() => {});
  }

  async open(): Promise<void> {
    const config = this.#config;
    const { announce } = this.#options;
    await this.#options.manager?.starting();
    const engineUrl = config.ENGINE_URL ?? (await this.#startEngine());
    const place =
      config.DISCORD_TOKEN === undefined ? await this.#startPlayground(engineUrl) : undefined;
    const bot = await this.#start("bot", () => botSpec(this.#config, engineUrl, place));
    noteRunning(config.DATA_DIR, { pid: process.pid, engineUrl });
    const health = await this.#untilHealthy(engineUrl);
    this.#training = scheduleTraining({
      at: config.TRAIN_AT,
      dataDir: config.DATA_DIR,
      env: trainerEnvironment(engineUrl),
      announce,
      onLog: this.#options.onLog,
    });
    announce({
      event: "ready",
      ...(place === undefined ? inviteOf(bot) : { page: place.url }),
      engine: engineUrl,
      model: health.model.id,
      device: health.model.device,
      adapter: health.adapter,
      training: this.#training.next()?.toISOString() ?? null,
      dataDir: config.DATA_DIR,
    });
    await this.#options.manager?.ready(`Serving ${health.model.id}`, () =>
      this.#isHealthy(engineUrl),
    );
  }

  #client(url: string): EngineClient {
    const apiKey = this.#config.ENGINE_API_KEY;
    return new EngineClient({ url, ...(apiKey === undefined ? {} : { apiKey }) });
  }

  /** Nobody is down for long, and the engine answers, unless it is just being started again. */
  async #isHealthy(engineUrl: string): Promise<boolean> {
    const nowMs = performance.now();
    const downMs = [...this.#services.values()].map(
      ({ downSinceMs = nowMs }) => nowMs - downSinceMs,
    );
    if (downMs.some((ms) => ms > RECOVERY_MS)) return false;
    if (downMs.some((ms) => ms > 0)) return true;
    return this.#client(engineUrl)
      .health(AbortSignal.timeout(HEALTH_TIMEOUT_MS))
      .then(
        () => true,
        () => false,
      );
  }

  /** Until the signal; rejects with the first lasting failure of a service. */
  async untilStopped(): Promise<void> {
    const { stop } = this.#options;
    await Promise.race([aborted(stop, this), this.#failed.promise]);
  }

  /** Reads the settings again, after any reload that goes on. */
  reload(): void {
    this.#reloading = this.#reloading.then(() => this.#renew());
  }

  /** Engine and bot with the settings of now; with mistaken ones nothing changes. */
  async #renew(): Promise<void> {
    const { announce, reload, stop } = this.#options;
    if (reload === undefined || stop.aborted) return;
    try {
      const config = reload.read();
      const fixed = needingRestart(this.#config, config);
      if (fixed.length > 0) {
        const message = `${fixed.join(", ")} changed, which only a restart takes up. Nothing was reloaded.`;
        announce({ event: "not_reloaded", message });
        return;
      }
      this.#config = config;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      announce({ event: "not_reloaded", message: `Nothing was reloaded. ${why}` });
      return;
    }
    const services = ["engine", "bot"].filter((name) => this.#services.has(name));
    announce({ event: "reloading", services });
    const renewed = services.reduce(
      (before, name) => before.then(() => this.#services.get(name)?.renew(GRACE_MS)),
      Promise.resolve(),
    );
    // Whoever waits for the end hears of a failure.
    await Promise.race([renewed, this.#failed.promise, this.#stopped()]).then(
      () => announce({ event: "reloaded" }),
      () => {},
    );
  }

  /** Rejects with the signal's reason. */
  async #stopped(): Promise<never> {
    const { stop } = this.#options;
    await aborted(stop, this);
    throw stop.reason;
  }

  /** Last started, first ended: the bot takes no more questions while the engine finishes answers. */
  async close(): Promise<void> {
    forgetRunning(this.#options.config.DATA_DIR);
    await this.#options.manager?.stopping();
    await this.#training?.stop(GRACE_MS);
    for (const service of [...this.#services.values()].reverse()) await service.stop(GRACE_MS);
  }

  async #startEngine(): Promise<string> {
    const line = await this.#start("engine", (first) => engineSpec(this.#config, portOf(first)));
    return text(line, "url");
  }

  async #startPlayground(engineUrl: string): Promise<Playground> {
    const line = await this.#start("playground", (first) =>
      playgroundSpec(this.#config, engineUrl, portOf(first)),
    );
    return { url: text(line, "url"), api: text(line, "api"), token: text(line, "token") };
  }

  /** Starts a service; resolves with its first ready line, rejects when any service fails. */
  async #start(name: string, specFor: Parameters<typeof superviseService>[0]): Promise<ChildLine> {
    const { announce, onLog, stop } = this.#options;
    stop.throwIfAborted();
    announce({ event: "starting", service: name });
    const ready = Promise.withResolvers<ChildLine>();
    const early = new EarlyLog(onLog);
    const service = superviseService(specFor, {
      onReady: (line) => {
        early.open();
        ready.resolve(line);
      },
      onRestart: (reason, delayMs) =>
        announce({ event: "restarting", service: name, reason, delayMs }),
      onFailed: (error) => {
        if (error.code === "internal_error") early.open();
        this.#failed.reject(error);
      },
      onLog: (line) => early.add(line),
      onEvent: (line) => announceDownload(line, announce),
      sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => {}),
    });
    this.#services.set(name, service);
    return Promise.race([ready.promise, this.#failed.promise, this.#stopped()]);
  }

  async #untilHealthy(url: string): ReturnType<EngineClient["health"]> {
    const { stop } = this.#options;
    const client = this.#client(url);
    const giveUpAt = performance.now() + REMOTE_ENGINE_WAIT_MS;
    for (;;) {
      try {
        return await client.health(stop);
      } catch (error) {
        if (stop.aborted || performance.now() > giveUpAt) throw error;
        await Promise.race([sleep(500), this.#failed.promise]);
      }
    }
  }
}

/**
 * What a service says before it is up. Plain text there is why it cannot start, which the supervisor
 * says itself; only with a mistake of ours is the rest, a stack trace, worth showing.
 */
class EarlyLog {
  readonly #onLog: (line: string) => void;
  #held: string[] | undefined = [];

  constructor(onLog: (line: string) => void) {
    this.#onLog = onLog;
  }

  add(line: string): void {
    if (this.#held === undefined || parseLogLine(line) !== undefined) this.#onLog(line);
    else this.#held.push(line);
  }

  open(): void {
    for (const line of this.#held ?? []) this.#onLog(line);
    this.#held = undefined;
  }
}

function announceDownload(line: ChildLine, announce: Announce): void {
  if (line.event !== "downloading") return;
  announce({
    event: "downloading",
    model: String(line["model"]),
    downloadedBytes: Number(line["downloadedBytes"]),
    totalBytes: Number(line["totalBytes"]),
  });
}

function portOf(line: ChildLine | undefined): number | undefined {
  return line === undefined ? undefined : Number(new URL(text(line, "url")).port);
}

function text(line: ChildLine, field: string): string {
  const value = line[field];
  if (typeof value === "string") return value;
  throw new Error(`expected a text "${field}" in ${JSON.stringify(line)}`);
}

function inviteOf(line: ChildLine): { invite?: string } {
  const invite = line["invite"] ?? line["inviteUrl"];
  return typeof invite === "string" ? { invite } : {};
}
