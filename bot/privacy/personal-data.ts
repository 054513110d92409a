/**
 * What is kept of one person: shown, handed out, and forgotten. It knows the stores, and Discord only by
 * the id that a person has there.
 */
import {
  type ConsentBook,
  type ConsentChange,
  type LearningSettings,
  learningRefusal,
} from "#trainer/feedback/consent.ts";
import { adaptersThatLearnedFrom } from "#trainer/feedback/lessons.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";
import type { Pseudonymise } from "#trainer/feedback/pseudonym.ts";
import type { Source } from "#trainer/feedback/records.ts";
import type { AnswerDesk } from "../answer/answer-desk.ts";
import type { ConversationMemory } from "../conversation/memory.ts";

/** The three switches, as they stand for one person in one place. */
export type ConsentState = {
  readonly source: Source;
  /** The operator has stated Discord's permission; always true outside Discord. */
  readonly isAttested: boolean;
  /** The server's switch; undefined where there is none (direct messages, outside Discord). */
  readonly isGuildOn: boolean | undefined;
  /** The person's own word; undefined when they have said nothing. */
  readonly own: boolean | undefined;
  /** Whether all of it together lets the bot learn from them here. */
  readonly isLearning: boolean;
};

/** How much is kept of a person. */
export type DataSummary = {
  readonly questions: number;
  readonly votes: number;
  readonly comments: number;
  readonly rememberedTurns: number;
  readonly conversations: number;
  /** Adapters that learned from them. */
  readonly adapters: readonly string[];
  readonly consent: ConsentState;
};

/** What forgetting took away. */
export type Forgotten = {
  readonly questions: number;
  readonly votes: number;
  /** Adapters that learned from them, which the next training replaces. */
  readonly adapters: readonly string[];
};

/** What it works on. */
export type PersonalDataParts = {
  readonly dataDir: string;
  readonly source: Source;
  readonly settings: LearningSettings;
  readonly feedback: FeedbackLog;
  readonly memory: ConversationMemory;
  readonly consent: ConsentBook;
  readonly pseudonymise: Pseudonymise;
  readonly desk: Pick<AnswerDesk, "withdrawPerson">;
};

/** One person's data. Methods throw CodedError `database_failed`, `disk_full`. */
export class PersonalData {
  readonly #parts: PersonalDataParts;

  constructor(parts: PersonalDataParts) {
    this.#parts = parts;
  }

  /** The switches for a person in a server, or in direct messages (null). */
  consentState(personId: string, guildId: string | null): ConsentState {
    const { source, settings, consent, pseudonymise } = this.#parts;
    const personKey = pseudonymise(personId);
    const isDiscord = source === "discord";
    const refusal = learningRefusal(consent, settings, {
      source,
      guildId,
      personKeys: [personKey],
    });
    return {
      source,
      isAttested: !isDiscord || settings.LEARN_FROM_DISCORD,
      isGuildOn:
        isDiscord && guildId !== null ? consent.guild(guildId)?.allows === true : undefined,
      own: consent.person(personKey)?.allows,
      isLearning: refusal === undefined,
    };
  }

  /**
   * A person's own word. Taking it back also has adapters replaced that learned from them.
   * @returns those adapters
   */
  setConsent(personId: string, allows: boolean): readonly string[] {
    const { consent, pseudonymise } = this.#parts;
    const personKey = pseudonymise(personId);
    consent.setPerson(personKey, allows);
    if (allows) return [];
    const adapters = this.#adaptersOf(personKey);
    consent.requestRetraining(adapters);
    return adapters;
  }

  /** How much is kept. */
  async summary(personId: string, guildId: string | null): Promise<DataSummary> {
    const { feedback, memory, pseudonymise } = this.#parts;
    const personKey = pseudonymise(personId);
    const events = feedback.eventsBy(personKey);
    const turns = await memory.turnsOf(personKey);
    return {
      questions: this.#exchanges(personKey).length,
      votes: feedback.standingOf(personKey).length,
      comments: events.filter(({ comment }) => comment !== undefined).length,
      rememberedTurns: [...turns.values()].flat().length,
      conversations: turns.size,
      adapters: this.#adaptersOf(personKey),
      consent: this.consentState(personId, guildId),
    };
  }

  /** Everything that is kept, for the person to take with them. */
  async exported(personId: string): Promise<object> {
    const { feedback, memory, consent, pseudonymise } = this.#parts;
    const personKey = pseudonymise(personId);
    return {
      person: { discordId: personId, pseudonym: personKey },
      consent: consent.historyOf(personKey).map(toDated),
      exchanges: this.#exchanges(personKey).map(({ exchange, candidates }) => ({
        ...exchange,
        answers: candidates.filter(({ deleted }) => !deleted),
      })),
      feedback: feedback.eventsBy(personKey),
      conversations: Object.fromEntries(await memory.turnsOf(personKey)),
      adaptersThatLearnedFromYou: this.#adaptersOf(personKey),
    };
  }

  /**
   * Forgets a person: what they asked and were answered, what is remembered, their votes and comments,
   * and the key that opens any copy of it. What a training makes of them is replaced by the next one.
   */
  forget(personId: string): Forgotten {
    const { feedback, consent, pseudonymise, desk } = this.#parts;
    const personKey = pseudonymise(personId);
    desk.withdrawPerson(personKey);
    const votes = feedback.standingOf(personKey).length;
    const adapters = this.#adaptersOf(personKey);
    const questions = this.#exchanges(personKey).length;
    feedback.forgetPerson(personKey);
    consent.setPerson(personKey, false);
    consent.requestRetraining(adapters);
    return { questions, votes, adapters };
  }

  #exchanges(personKey: string) {
    const { feedback } = this.#parts;
    return feedback.exchangesOf(personKey).flatMap((id) => {
      const found = feedback.exchange(id);
      // Others' questions in which they take part are theirs only as far as their words go.
      return found === undefined || found.deleted || found.exchange.authorKey !== personKey
        ? []
        : [found];
    });
  }

  #adaptersOf(personKey: string): readonly string[] {
    const { dataDir, feedback } = this.#parts;
    const exchangeIds = feedback.exchangesOf(personKey);
    return adaptersThatLearnedFrom(dataDir, { exchangeIds, raterKey: personKey });
  }
}

function toDated({ allows, atMs }: ConsentChange): object {
  return { allows, at: new Date(atMs).toISOString() };
}
