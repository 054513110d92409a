/** What is asked, what comes of it, and what answering needs. */
import type { ChatMessage } from "#engine/backends/backend.ts";
import type { Clock } from "#engine/base/clock.ts";
import type { Logger } from "#engine/base/log.ts";
import type { EngineClient } from "#engine/client/engine-client.ts";
import type { Prompt } from "#prompts/load.ts";
import type { FeedbackLog } from "#trainer/feedback/log.ts";
import type { Exchange, Source } from "#trainer/feedback/records.ts";
import type { AttachedImage } from "../conversation/attached-image.ts";
import type { AttachedFile } from "../conversation/attached-text.ts";
import type { ConversationMemory } from "../conversation/memory.ts";
import type { Quote } from "../conversation/untrusted-text.ts";
import type { Language } from "../language/language.ts";
import type { Decided } from "../moderation/decided-questions.ts";
import type { Verdict } from "../moderation/withheld.ts";
import type { AnswerView } from "./answer-view.ts";
import type { EngineFigures } from "./engine-figures.ts";
import type { RequestLimits } from "./request-limits.ts";

/** Whose words something holds, and which messages. */
export type Sources = {
  readonly personKeys: readonly string[];
  readonly messageIds: readonly string[];
};

/** One question, wherever it was asked. */
export type Question = {
  readonly text: string;
  readonly quote?: Quote;
  /** Whose words it holds besides the asker's and the quote's, and which messages: they go when these go. */
  readonly about?: Sources;
  /** Text files that came with it. */
  readonly attached?: readonly AttachedFile[];
  /** Pictures that came with it. Neither they nor the answer are kept for learning, which is of text alone. */
  readonly images?: readonly AttachedImage[];
  readonly guildId: string | null;
  readonly channelId: string;
  readonly threadId: string | null;
  /** Whether the channel is marked as age-restricted. */
  readonly isAgeRestricted?: boolean;
  /** In which the bot speaks around the answer. */
  readonly language: Language;
  /** Whose help lines are told, such as `de` or `pt-BR`: the bot may not speak that language. */
  readonly locale?: string | undefined;
  readonly personKey: string;
  readonly personName: string;
  /** Key of the conversation that it continues (`conversationKey`). */
  readonly conversation: string;
  /** Whether it goes on with that conversation, and is kept in it; yes when left out. */
  readonly isRemembered?: boolean;
  /** How to speak here, from the server's managers; stands below the system prompt. */
  readonly instructions?: string;
  /** The adapter that answers, or `base`; left out: the one that serves. */
  readonly adapter?: string;
  /** Questions a minute that this person may ask; left out: the installation's limit. */
  readonly perMinute?: number;
  /** The message that asks; a slash command has none. */
  readonly messageId?: string;
  /** Shown above the answer. */
  readonly heading?: string;
  /** The whole prompt, question last, where the conversation's memory is not to be asked. */
  readonly messages?: readonly ChatMessage[];
  /** Another answer is wanted to a question that was answered; the message shows that answer. */
  readonly again?: { readonly exchange: Exchange; readonly messageId: string };
};

/** What became of a question. Every kind has been shown to the person. */
export type AnswerOutcome =
  | {
      readonly kind: "answered";
      readonly messageIds: readonly string[];
      /** Whether votes on it can be recorded. */
      readonly isSaved: boolean;
    }
  | { readonly kind: "refused" | "blocked" | "failed" | "aborted"; readonly code: string };

/** What answering needs; all of it comes from the entry point. */
export type AnsweringParts = {
  readonly engine: Pick<EngineClient, "chat" | "countTokens">;
  readonly figures: () => Promise<EngineFigures>;
  readonly limits: RequestLimits;
  readonly memory: ConversationMemory;
  readonly feedback: Pick<FeedbackLog, "recordExchange" | "recordMessage">;
  readonly prompt: () => Prompt;
  readonly source: Source;
  readonly clock: Clock;
  /** A new unique id. */
  readonly newId: () => string;
  /** A new sampling seed, 0 to 2^31 − 1. */
  readonly newSeed: () => number;
  /** What a server's moderators decided about a question, by its text as the engine gets it. */
  readonly decided?: (guildId: string, question: string) => Promise<Decided | undefined>;
  /** Told of each answer that a check refused or cut. */
  readonly onBlocked?: (
    question: Question,
    verdict: Verdict,
    messageIds: readonly string[],
  ) => void;
  readonly log: Logger;
};

/** One question on its way to an answer. */
export type Job = {
  readonly question: Question;
  readonly view: AnswerView;
  readonly parts: AnsweringParts;
  /** Aborting ends the answer with what there is. */
  readonly signal: AbortSignal;
  /** The answer's id in the feedback log, and on its buttons. */
  readonly candidateId: string;
};

/** The reason of an abort because the question was deleted: then the answer goes too. */
export const WITHDRAWN = "withdrawn";
/** The reason of an abort because a person wants no more: then what came is the answer. */
export const STOPPED = "stopped";
