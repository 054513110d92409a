/**
 * Cases as messages in a server's mod-log channel, with buttons for those who moderate. The AI
 * proposes, a person decides.
 */
import type { Client, SendableChannels } from "discord.js";
import type { Logger } from "#engine/base/log.ts";
import type { Button } from "../../answer/draft.ts";
import type { Language } from "../../language/language.ts";
import type { Case, CaseBook, NewCase } from "../../moderation/case-book.ts";
import { caseText } from "../../moderation/case-text.ts";
import type { ModerationChoicesBook } from "../../moderation/choices.ts";
import type { SettingsBook } from "../../settings/settings-book.ts";
import { toPayload } from "../payload.ts";
import type { LanguageOf } from "../room.ts";

/** What stands before the first colon of a case's buttons. */
export const CASE_BUTTON = "case";

/** What the mod-log works on. */
export type ModLogParts = {
  readonly client: Client;
  readonly cases: CaseBook;
  readonly choices: ModerationChoicesBook;
  /** Where a server's mod-log is. */
  readonly settings: Pick<SettingsBook, "of">;
  readonly languageOf: LanguageOf;
  readonly log: Logger;
};

/** Opens cases and shows them. A case is kept also where it can't be shown. */
export class ModLog {
  readonly #parts: ModLogParts;

  constructor(parts: ModLogParts) {
    this.#parts = parts;
  }

  /**
   * Opens a case and posts it. Never rejects: moderation must not fail because its log does.
   * @param personId whom it is about, shown as a mention that pings nobody
   * @param otherSources where there is a case of the kind from one of these, none is opened
   */
  async open(
    given: NewCase,
    personId?: string,
    otherSources: readonly string[] = [],
  ): Promise<Case | undefined> {
    const { cases, log } = this.#parts;
    try {
      if (cases.has(given.guildId, given.kind, otherSources)) return undefined;
      const opened = cases.open(given);
      if (opened !== undefined) await this.#post(opened, personId);
      return opened;
    } catch (error) {
      log.error({ err: error, kind: given.kind }, "a case could not be opened");
      return undefined;
    }
  }

  /** Shows a case as it is now. */
  async update(found: Case): Promise<void> {
    const { log } = this.#parts;
    const { logMessageId } = found;
    if (logMessageId === undefined) return;
    const channel = await this.#channelFor(found);
    if (channel === undefined) return;
    const message = await channel.messages.fetch(logMessageId).catch(() => null);
    // Whoever it is about is not kept: only the message names them, in whatever language.
    const subject = /^[^:：\n]+[:：] ?(<@\d+>)$/mu.exec(message?.content ?? "")?.[1];
    const language = await this.#parts.languageOf(found.guildId);
    await channel.messages
      .edit(logMessageId, { content: caseText(language, found, subject) })
      .catch((error: unknown) => log.warn({ err: error }, "a case's message could not be edited"));
  }

  async #post(opened: Case, personId: string | undefined): Promise<void> {
    const { cases } = this.#parts;
    const channel = await this.#channelFor(opened);
    if (channel === undefined) return;
    const subject = personId === undefined ? undefined : `<@${personId}>`;
    const language = await this.#parts.languageOf(opened.guildId);
    const content = caseText(language, opened, subject);
    const message = await channel.send(
      toPayload({ content, buttons: buttonsOf(language, opened) }),
    );
    cases.setLogMessage(opened.guildId, opened.number, message.id);
  }

  /** A quiet alert has a channel of its own, where there is one. */
  async #channelFor({ guildId, kind }: Pick<Case, "guildId" | "kind">) {
    const { client, choices, settings } = this.#parts;
    const { alertChannelId } = await choices.of(guildId);
    const { modLogChannelId } = await settings.of(guildId);
    const id = kind === "self_harm" ? (alertChannelId ?? modLogChannelId) : modLogChannelId;
    return ownChannel(client, guildId, id);
  }
}

/** A channel of that server in which the bot may write: a file of settings may name any other's. */
export async function ownChannel(
  client: Client,
  guildId: string,
  id: string | null,
): Promise<SendableChannels | undefined> {
  if (id === null) return undefined;
  const channel = await client.channels.fetch(id).catch(() => null);
  if (channel?.isSendable() !== true || channel.isDMBased()) return undefined;
  return channel.guildId === guildId ? channel : undefined;
}

/** What the rules say of managers' own words is for no moderator to decide. */
function buttonsOf(language: Language, { number, kind }: Case): readonly Button[] {
  const id = (action: string) => `${CASE_BUTTON}:${action}:${number}`;
  const note: Button = {
    id: id("note"),
    label: language.say("button.case.note"),
    style: "secondary",
  };
  if (kind === "instructions") return [note];
  return [
    { id: id("uphold"), label: language.say("button.case.uphold"), style: "success" },
    { id: id("overturn"), label: language.say("button.case.overturn"), style: "danger" },
    note,
  ];
}
