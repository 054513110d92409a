/**
 * The answers in the making: begun, found again by their messages, withdrawn, and drained at the end.
 * It knows neither Discord nor how an answer is made.
 */

import { type DrawnTwo, drawTwo } from "../compare/draw-two.ts";
import type { Verdict } from "../moderation/withheld.ts";
import { AnswerView, type MessageSurface } from "./answer-view.ts";
import { answerQuestion } from "./answering.ts";
import type { EditSchedulers } from "./edit-scheduler.ts";
import {
  type AnsweringParts,
  type AnswerOutcome,
  type Question,
  STOPPED,
  WITHDRAWN,
} from "./question.ts";
import type { Admission, OnPosition } from "./request-limits.ts";

type InFlight = {
  readonly candidateId: string;
  readonly question: Question;
  /** None where two answers are drawn at once: nobody may see either before both are there. */
  readonly view?: AnswerView;
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
};

/** All answers that one bot is giving. Their number is bounded by the limits. */
export class AnswerDesk {
  readonly #parts: AnsweringParts;
  readonly #schedulers: EditSchedulers;
  readonly #inFlight = new Set<InFlight>();

  constructor(parts: AnsweringParts, schedulers: EditSchedulers) {
    this.#parts = parts;
    this.#schedulers = schedulers;
  }

  /** Answers that are being given or wait for their turn. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Answers a question on a surface, to the last edit. Never rejects. */
  async answer(
    question: Question,
    surface: MessageSurface,
    /** Whose scheduler paces it: the channel or thread, as Discord counts them. */
    channelId: string,
  ): Promise<AnswerOutcome> {
    const abort = new AbortController();
    const view = new AnswerView(surface, this.#schedulers.of(channelId), () => abort.abort());
    const candidateId = this.#parts.newId();
    const { signal } = abort;
    const done = answerQuestion({ question, view, parts: this.#parts, signal, candidateId });
    const entry = { candidateId, question, view, abort, done };
    this.#inFlight.add(entry);
    const outcome = await done;
    this.#inFlight.delete(entry);
    return outcome;
  }

  /**
   * Counts work on a question as an answer in the making, from its admission to what is shown of it.
   * @param work its signal is aborted as an answer's is
   */
  async during<T>(question: Question, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController();
    const done = work(abort.signal);
    const entry = { candidateId: this.#parts.newId(), question, abort, done };
    this.#inFlight.add(entry);
    try {
      return await done;
    } finally {
      this.#inFlight.delete(entry);
    }
  }

  /** Draws two answers to one question, as one request of the person's. @throws CodedError; the signal's reason */
  drawTwo(
    question: Question,
    adapters: readonly [string | undefined, string | undefined],
    onPosition: OnPosition,
    signal: AbortSignal,
  ): Promise<Admission<DrawnTwo>> {
    const { personKey: person, perMinute } = question;
    const who = { person, guild: question.guildId ?? question.channelId, perMinute };
    const work = () => drawTwo(question, adapters, this.#parts, signal);
    return this.#parts.limits.run(who, work, onPosition);
  }

  /** An answer to a question was refused, and these messages say so. */
  refused(question: Question, verdict: Verdict, messageIds: readonly string[]): void {
    this.#parts.onBlocked?.(question, verdict, messageIds);
  }

  /** Whose question an answer in the making is to; undefined when it is not in the making. */
  askerOf(candidateId: string): string | undefined {
    return this.#find(candidateId)?.question.personKey;
  }

  /** Ends an answer with what there is, because a person wants no more of it. */
  stop(candidateId: string): void {
    this.#find(candidateId)?.abort.abort(STOPPED);
  }

  /** Ends the answer to a question, or the answer itself, that was deleted. */
  async withdraw(messageId: string): Promise<void> {
    for (const { question, view, abort } of this.#inFlight) {
      if (question.messageId === messageId) abort.abort(WITHDRAWN);
      // Discord may tell of a deletion before it tells us the id of the message that we sent.
      await view?.rest();
      if (view?.messageIds.includes(messageId) === true) abort.abort(WITHDRAWN);
    }
  }

  /** Ends every answer to a person, also those that wait: in one server, or everywhere. */
  withdrawPerson(personKey: string, guildId?: string): void {
    for (const { question, abort } of this.#inFlight) {
      const isHere = guildId === undefined || question.guildId === guildId;
      if (question.personKey === personKey && isHere) abort.abort(WITHDRAWN);
    }
  }

  /** Lets answers finish for so long, then ends the rest with what there is. Takes no new ones. */
  async drain(timeoutMs: number): Promise<void> {
    this.#parts.limits.close();
    const timer = setTimeout(() => {
      for (const { abort } of this.#inFlight) abort.abort();
    }, timeoutMs);
    await Promise.allSettled([...this.#inFlight].map(({ done }) => done));
    clearTimeout(timer);
  }

  #find(candidateId: string): InFlight | undefined {
    return [...this.#inFlight].find((entry) => entry.candidateId === candidateId);
  }
}
