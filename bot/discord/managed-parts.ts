/** The parts of a room that managers and operators work with. */
import { type Client, Events } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import type { Logger } from "#engine/base/log.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";
import { TrainingWishes } from "#trainer/feedback/training-wishes.ts";
import { Comparisons } from "../compare/comparisons.ts";
import type { Languages } from "../language/languages.ts";
import { instructionProblem } from "../settings/instruction-check.ts";
import type { EntryStore } from "../storage/entry-store.ts";
import { openKeyv } from "../storage/open-keyv.ts";
import { reveal } from "./commands/compare.ts";
import { isFirst, type Shard } from "./gateway/shard.ts";
import { knowOperators } from "./operators.ts";
import type { Room } from "./room.ts";

const TIMEOUT_MS = 2_500;

type Managed = Pick<
  Room,
  "comparisons" | "adapters" | "wishes" | "isOperator" | "adapterNames" | "instructionProblem"
>;

/** Puts them together. */
export function managedParts(parts: {
  readonly config: Config;
  readonly store: EntryStore;
  readonly feedback: FeedbackLog;
  readonly engine: EngineClient;
  readonly client: Client<true>;
  readonly languages: Languages;
  readonly shard: Shard;
  readonly clock: Clock;
  readonly log: Logger;
}): Managed {
  const { config, store, feedback, engine, client, languages, shard, clock, log } = parts;
  const comparisons = new Comparisons(openKeyv(store, "comparisons", log), {
    clock,
    eventsOf: (candidateId) => feedback.eventsOf(candidateId),
    reveal: (comparison, tally) => reveal({ client, languages, log }, comparison, tally),
    log,
  });
  takeUp(comparisons, client, shard);
  return {
    comparisons,
    adapters: engine,
    instructionProblem: (language, texts) => instructionProblem(language, engine, texts),
    wishes: new TrainingWishes(config.DATA_DIR),
    isOperator: knowOperators(client),
    adapterNames: () => readAdapterNames(engine),
  };
}

/** The servers that this process has, and those that it gets. */
function takeUp(comparisons: Comparisons, client: Client<true>, shard: Shard): void {
  comparisons.adoptProcess(shard.index);
  if (isFirst(shard)) comparisons.adopt(null);
  for (const guildId of client.guilds.cache.keys()) comparisons.adopt(guildId);
  for (const event of [Events.GuildCreate, Events.GuildAvailable] as const) {
    client.on(event, ({ id }) => comparisons.adopt(id));
  }
}

async function readAdapterNames(engine: EngineClient): Promise<readonly string[]> {
  const list = await engine.adapters(AbortSignal.timeout(TIMEOUT_MS)).catch(() => undefined);
  return list?.adapters.map(({ name }) => name) ?? [];
}
