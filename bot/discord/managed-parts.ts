/** The parts of a room that managers and operators work with. */
import { createHash } from "node:crypto";
import { type Client, Events } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import type { Config } from "#engine/base/config.ts";
import type { Logger } from "#engine/base/log.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";
import { TrainingWishes } from "#trainer/feedback/training-wishes.ts";
import type { EngineFigures } from "../answer/engine-figures.ts";
import { Comparisons } from "../compare/comparisons.ts";
import type { Languages } from "../language/languages.ts";
import { instructionReason, judgeInstruction } from "../settings/instruction-check.ts";
import { Instructions } from "../settings/instructions.ts";
import type { EntryStore } from "../storage/entry-store.ts";
import { openKeyv } from "../storage/open-keyv.ts";
import { reveal } from "./commands/compare.ts";
import { isFirst, type Shard } from "./gateway/shard.ts";
import type { ModLog } from "./moderation/mod-log.ts";
import { knowOperators } from "./operators.ts";
import type { LanguageOf, Room } from "./room.ts";

const TIMEOUT_MS = 2_500;

type LeftOut = ConstructorParameters<typeof Instructions>[1]["onLeftOut"];
type Managed = Pick<
  Room,
  "comparisons" | "adapters" | "wishes" | "isOperator" | "adapterNames" | "instructions" | "unread"
>;

/** Puts them together. */
export function managedParts(parts: {
  readonly config: Config;
  readonly store: EntryStore;
  readonly feedback: FeedbackLog;
  readonly engine: EngineClient;
  readonly figures: () => Promise<EngineFigures>;
  readonly client: Client<true>;
  readonly languages: Languages;
  readonly languageOf: LanguageOf;
  readonly modLog: ModLog;
  readonly shard: Shard;
  readonly clock: Clock;
  readonly log: Logger;
}): Managed {
  const { config, store, feedback, engine, figures, client, languages, shard, clock, log } = parts;
  const { modLog, languageOf } = parts;
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
    instructions: new Instructions(openKeyv(store, "instructions", log), {
      judge: (text) => judgeInstruction(engine, text),
      policy: async () => (await figures()).policy,
      onLeftOut: (guildId, left) => void noteLeftOut({ modLog, languageOf }, guildId, left),
      log,
    }),
    unread: () => feedback.hearing.backlog(clock.nowMs()).unread,
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

/** One case for each text and reason, however often it would have been used. */
async function noteLeftOut(
  { modLog, languageOf }: { readonly modLog: ModLog; readonly languageOf: LanguageOf },
  guildId: string,
  { persona, text, verdict }: Parameters<LeftOut>[1],
): Promise<void> {
  const language = await languageOf(guildId);
  const reason = instructionReason(language, verdict) ?? "";
  const hash = createHash("sha256").update(text).digest("hex");
  await modLog.open({
    guildId,
    kind: "instructions",
    sourceId: `${hash}:${JSON.stringify(verdict)}`,
    subjectKey: "managers",
    actorKey: "bot",
    reason:
      persona === undefined
        ? language.say("instructions.addition_left_out", { reason })
        : language.say("instructions.persona_left_out", { name: persona, reason }),
    evidence: text,
    place: "",
    isDryRun: false,
  });
}

async function readAdapterNames(engine: EngineClient): Promise<readonly string[]> {
  const list = await engine.adapters(AbortSignal.timeout(TIMEOUT_MS)).catch(() => undefined);
  return list?.adapters.map(({ name }) => name) ?? [];
}
