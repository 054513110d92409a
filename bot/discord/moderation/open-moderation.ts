/** Puts a bot's moderation together: cases, mod-log, rules, and the engine behind them. */
import type { Client } from "discord.js";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { ChatRequest } from "#engine/client/engine-client.ts";
import type { KeyRing } from "#trainer/feedback/key-ring.ts";
import { askedText } from "../../answer/asked-text.ts";
import type { AnsweringParts, Question } from "../../answer/question.ts";
import { CaseBook } from "../../moderation/case-book.ts";
import { ModerationChoicesBook } from "../../moderation/choices.ts";
import { comparedQuestion, questionHash } from "../../moderation/decided-questions.ts";
import type { CompiledRule } from "../../moderation/keyword-rules.ts";
import { type OutputScreen, screenBy } from "../../moderation/output-screen.ts";
import type { Screens } from "../../moderation/screened-engine.ts";
import { SELF_HARM, SERVER_RULE, type Verdict, withheldText } from "../../moderation/withheld.ts";
import type { SettingsBook } from "../../settings/settings-book.ts";
import type { EntryStore } from "../../storage/entry-store.ts";
import { openKeyv } from "../../storage/open-keyv.ts";
import type { LanguageOf } from "../room.ts";
import { GuildRules } from "./guild-rules.ts";
import { ModLog } from "./mod-log.ts";

/** A bot's moderation. */
export type Moderation = Disposable & {
  readonly cases: CaseBook;
  readonly modLog: ModLog;
  readonly moderation: ModerationChoicesBook;
  readonly rules: GuildRules;
  readonly screens: Screens;
  /** What answering asks and tells. */
  readonly checks: Pick<AnsweringParts, "onBlocked" | "decided">;
};

type Parts = {
  readonly client: Client;
  readonly dataDir: string;
  readonly store: EntryStore;
  readonly settings: SettingsBook;
  readonly languageOf: LanguageOf;
  readonly keys: KeyRing;
  readonly clock: Clock;
  readonly log: Logger;
};

/** @throws CodedError `database_failed`, `disk_full` */
export function openModeration(given: Parts): Moderation {
  const { client, dataDir, store, settings, languageOf, keys, clock, log } = given;
  const cases = CaseBook.open(dataDir, keys, clock);
  const moderation = new ModerationChoicesBook(openKeyv(store, "moderation", log));
  const rules = new GuildRules(client, clock, log);
  const modLog = new ModLog({ client, cases, choices: moderation, settings, languageOf, log });
  const parts = { client, rules, moderation, modLog, languageOf, clock };
  return {
    cases,
    modLog,
    moderation,
    rules,
    screens: {
      of: (metadata) => screenOf(parts, metadata),
      onBroken: (metadata, rule, text) =>
        void noteBroken(parts, metadata, { rule, text, isDryRun: false }),
    },
    checks: {
      onBlocked: (question, verdict, messageIds) => {
        void noteBlocked(parts, question, verdict, messageIds);
      },
      decided: async (guildId, question) => {
        const { decided } = await moderation.of(guildId);
        return decided[questionHash(question)];
      },
    },
    [Symbol.dispose]: () => cases[Symbol.dispose](),
  };
}

/** A broken rule of the server has its own case. Never rejects: the mod-log does not. */
async function noteBlocked(
  { modLog, languageOf, clock }: ScreenParts,
  question: Question,
  verdict: Verdict,
  messageIds: readonly string[],
): Promise<void> {
  const { guildId, channelId, personKey } = question;
  const { category } = verdict;
  if (guildId === null || category === SERVER_RULE) return;
  const language = await languageOf(guildId);
  const isSelfHarm = category === SELF_HARM;
  await modLog.open({
    guildId,
    kind: isSelfHarm ? "self_harm" : "refused",
    sourceId: question.messageId ?? messageIds[0] ?? `${personKey}:${clock.nowMs()}`,
    subjectKey: personKey,
    actorKey: "bot",
    reason: isSelfHarm ? language.say("case.help_lines") : withheldText(language, verdict),
    // By its hash, a moderator's decision about the case holds for the question.
    evidence: comparedQuestion(askedText(question)),
    place: linkTo(guildId, channelId, messageIds[0]),
    isDryRun: false,
  });
}

type Metadata = NonNullable<ChatRequest["metadata"]>;
type ScreenParts = Pick<Parts, "client" | "languageOf" | "clock"> &
  Pick<Moderation, "rules" | "moderation" | "modLog">;

async function screenOf(parts: ScreenParts, metadata: Metadata): Promise<OutputScreen | undefined> {
  const { guild: guildId, channel: channelId } = metadata;
  if (guildId === undefined) return undefined;
  const choices = await parts.moderation.of(guildId);
  const told = new Set<string>();
  return screenBy({
    rules: await parts.rules.of(guildId),
    links: choices.links,
    channelIds: withParents(parts.client, channelId),
    language: await parts.languageOf(guildId),
    ...(choices.isDryRun
      ? {
          onDryRun: (rule: CompiledRule) => {
            if (told.has(rule.id)) return;
            told.add(rule.id);
            void noteBroken(parts, metadata, { rule, text: rule.name, isDryRun: true });
          },
        }
      : {}),
  });
}

async function noteBroken(
  { modLog, languageOf, clock }: ScreenParts,
  { guild, channel, person }: Metadata,
  found: { readonly rule: CompiledRule; readonly text: string; readonly isDryRun: boolean },
): Promise<void> {
  if (guild === undefined) return;
  const language = await languageOf(guild);
  await modLog.open({
    guildId: guild,
    kind: "output_rule",
    sourceId: `${channel}:${found.rule.id}:${clock.nowMs()}`,
    subjectKey: person ?? "nobody",
    actorKey: "bot",
    reason: language.say("case.rule", { rule: found.rule.name }),
    evidence: found.text,
    place: linkTo(guild, channel),
    isDryRun: found.isDryRun,
  });
}

/** The channel, a thread's parent, and the category. */
function withParents(client: Client, channelId: string | undefined): readonly string[] {
  // A private place is named after its channel.
  const ids: string[] = [];
  for (let id = channelId?.split(":")[0]; id !== undefined && ids.length < 3; ) {
    ids.push(id);
    const channel = client.channels.cache.get(id);
    id =
      channel !== undefined && "parentId" in channel ? (channel.parentId ?? undefined) : undefined;
  }
  return ids;
}

function linkTo(guildId: string, channelId: string | undefined, messageId?: string): string {
  const place = channelId?.split(":")[0] ?? "";
  return `https://discord.com/channels/${guildId}/${place}${messageId === undefined ? "" : `/${messageId}`}`;
}
