/** Puts the local Discord together: state, REST, gateway, page. */
import { join } from "node:path";
import { Hono, type MiddlewareHandler } from "hono";
import type { Clock } from "#engine/base/clock.ts";
import { createLog } from "#engine/base/log.ts";
import { EngineClient } from "#engine/client/engine-client.ts";
import { Faults } from "./faults.ts";
import { addFileRoutes } from "./files.ts";
import { Delivery } from "./gateway/deliver.ts";
import { Gateway, HEARTBEAT_INTERVAL_MS } from "./gateway/gateway.ts";
import { createHostGuard } from "./guard.ts";
import { InteractionDesk } from "./interactions/desk.ts";
import { interactionPayload } from "./interactions/payload.ts";
import { listen } from "./listen.ts";
import { addPageRoutes } from "./page-files.ts";
import { PersonActions } from "./people/actions.ts";
import { createPageApi } from "./people/routes.ts";
import { StatusBoard } from "./people/status.ts";
import { Playground } from "./playground.ts";
import { answerError, createRestApi } from "./rest/api.ts";
import { RateLimits } from "./rest/rate-limits.ts";
import { Store } from "./world/store.ts";
import { archiveIdleThreads } from "./world/threads.ts";
import { World } from "./world/world.ts";

/** Permissions that the chat's invitation asks for: see, write, react, threads, embeds, files, the audit log. */
const CHAT_PERMISSIONS = 309_237_763_264n;
/** How often deadlines are looked at, in milliseconds. */
const TICK_MS = 100;
/** How often threads are looked at that nobody speaks in any more, in milliseconds. */
const ARCHIVE_EVERY_MS = 60_000;

/** Settings of a playground. */
export type PlaygroundOptions = {
  readonly host: string;
  /** 0 for any free port */
  readonly port: number;
  /** The chat is kept in `playground/` below it. */
  readonly dataDir: string;
  /** What the bot has to log in with. */
  readonly botToken: string;
  readonly clock: Clock;
  /** pino's level, "warn" when left out */
  readonly logLevel?: string;
  /** The engine whose state the page shows. */
  readonly engineUrl?: string;
  /** Permissions of the bot's role; those of the chat's invitation when left out. */
  readonly botPermissions?: bigint;
  /** Gateway intents that the application may not ask for, as bits; none when left out. */
  readonly disallowedIntents?: number;
  /** Shards that are recommended to the bot; 1 when left out. */
  readonly shards?: number;
  /** Shards that may identify at the same time, which is enforced then; not enforced when left out. */
  readonly maxConcurrency?: number;
  /** Discord's own 41,250 when left out. */
  readonly heartbeatIntervalMs?: number;
  /** A folder to write each of the bot's requests down in; none when left out. */
  readonly recordTo?: string;
};

/**
 * Starts a local Discord with its web page.
 * @throws CodedError `address_in_use`, `database_failed` or `disk_full`
 */
export async function startPlayground(options: PlaygroundOptions): Promise<Playground> {
  const { clock, botToken } = options;
  const log = createLog("playground", options.logLevel ?? "warn");
  const store = new Store(join(options.dataDir, "playground", "playground.sqlite"));
  const world = new World({
    store,
    clock,
    botPermissions: options.botPermissions ?? CHAT_PERMISSIONS,
  });
  let authority = "";
  const baseUrl = () => `http://${authority}`;
  const gatewayUrl = () => `ws://${authority}/gateway`;
  const desk = new InteractionDesk(world, baseUrl);
  const limits = new RateLimits(clock);
  const faults = new Faults();
  const delivery = new Delivery({
    world,
    baseUrl,
    interactionPayload: (interaction) => interactionPayload(world, interaction, baseUrl()),
  });
  const gateway = new Gateway(
    {
      ...{ clock, botToken, faults },
      heartbeatIntervalMs: options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
      disallowedIntents: options.disallowedIntents ?? 0,
      shards: options.shards ?? 1,
      maxConcurrency: options.maxConcurrency,
    },
    {
      greet: (session) => delivery.greet(session, gatewayUrl()),
      request: (session, opcode, data) => delivery.request(session, opcode, data),
      presenceChanged: () =>
        world.bus.emit({ type: "botPresence", connected: gateway.isConnected }),
    },
  );
  world.bus.subscribe((event) => delivery.deliver(event, gateway.sessions));
  const actions = new PersonActions(world, desk, baseUrl);
  const services = { world, desk, gateway, limits, faults, botToken, log, baseUrl, gatewayUrl };
  const rest = createRestApi({ ...services, recordTo: options.recordTo });
  const admits = createHostGuard(options.host);
  const app = new Hono();
  app.use(refuseOtherSites(admits));
  app.route("/api/v10", rest);
  app.route("/api/v9", rest);
  app.route("/api", rest);
  const status = new StatusBoard({
    clock,
    dataDir: options.dataDir,
    engine:
      options.engineUrl === undefined ? undefined : new EngineClient({ url: options.engineUrl }),
    isBotConnected: () => gateway.isConnected,
  });
  app.route("/local", createPageApi({ world, actions, status }));
  addFileRoutes(app, store);
  addPageRoutes(app);
  app.onError((error) => answerError(error, log));
  const fetch = (request: Request) => app.fetch(request);
  const server = await listenOrClose(store, () =>
    listen(options, { fetch, admits, socket: (socket, query) => gateway.accept(socket, query) }),
  );
  authority = `${displayHost(options.host)}:${server.port}`;
  let archivedAtMs = clock.monotonicMs();
  const tick = () => {
    desk.tick();
    gateway.tick();
    if (clock.monotonicMs() - archivedAtMs < ARCHIVE_EVERY_MS) return;
    archivedAtMs = clock.monotonicMs();
    archiveIdleThreads(world);
  };
  const timer = setInterval(tick, TICK_MS).unref();
  const close = async () => {
    clearInterval(timer);
    desk.close();
    gateway.close();
    await server.close();
    status[Symbol.dispose]();
    store[Symbol.dispose]();
  };
  const parts = { world, gateway, limits, faults, actions, url: baseUrl(), botToken, tick, close };
  return new Playground(parts);
}

function refuseOtherSites(admits: ReturnType<typeof createHostGuard>): MiddlewareHandler {
  return async (context, next) => {
    const [host, origin] = [context.req.header("host"), context.req.header("origin")];
    if (!admits({ host, origin }))
      return context.text("This address is not served to other sites.", 403);
    return next();
  };
}

async function listenOrClose<T>(store: Store, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
}

/** The address to put in links; "all interfaces" is reached by loopback. */
function displayHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
