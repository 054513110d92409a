/**
 * One request from its checks to its last token: adapter, context, input check, queue, choices.
 * It reports events; how they look on the wire is chat-wire's business. No message text is logged.
 */
import type { Backend } from "../../backends/backend.ts";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Block, InputCheck, Moderation, Warning } from "../../moderation/moderator.ts";
import { assertTaken } from "../abilities.ts";
import type { AdapterLease, ServingAdapters } from "../adapters/serving-adapters.ts";
import { Channel } from "../channel.ts";
import { inCheckTurn, queueFull } from "../check-turn.ts";
import type { Claim, FairQueue, Place, Turn } from "../fair-queue.ts";
import type { Metrics } from "../metrics.ts";
import { type ChatParameters, toSeed } from "./chat-request.ts";
import { type ChoiceEvent, runChoice } from "./choice.ts";
import { forceCall, insistsOnCall } from "./forced-call.ts";

/** What a completion needs of the service. */
export type CompletionServices = {
  readonly backend: Backend;
  readonly adapters: ServingAdapters;
  readonly moderation: Moderation;
  readonly queue: FairQueue;
  /** Who may have an input checked next: a guard has fewer streams than people ask at a time. */
  readonly checks: FairQueue;
  readonly metrics: Metrics;
  /** For requests that name none: from arrival to the last token. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly log: Logger;
};

/** What a completion reports: places in the queue, then each choice's events, interleaved. */
type CompletionEvent =
  | { readonly type: "queued"; readonly position: number; readonly waitMs: number }
  | { readonly type: "choice"; readonly index: number; readonly event: ChoiceEvent };

/** An admitted request: its facts are settled, its events not yet begun. */
export type Completion = {
  readonly adapter: string | null;
  readonly promptTokens: number;
  /** To be iterated once, to the end or to `return`; frees the adapter and the queue's places. */
  readonly events: AsyncGenerator<CompletionEvent>;
};

/** No token stands for more characters than this, so a longer prompt need not be counted. */
const CHARACTERS_PER_TOKEN_MOST = 32;

/**
 * Admits a request, or refuses it before anything was sent.
 * @throws CodedError `model_unknown`, `prompt_too_long`
 * @throws HttpProblem 429 when the queue is full, 400 for pictures or tools that the model does not take
 */
export async function admitCompletion(
  services: CompletionServices,
  asked: ChatParameters,
  requestId: string,
  signal: AbortSignal,
): Promise<Completion> {
  const { info } = services.backend;
  const parameters = !info.tools.can && insistsOnCall(asked) ? forceCall(asked) : asked;
  assertTaken(parameters, info);
  const lease = services.adapters.lease(parameters.model, parameters.owner.guild);
  const deadline = new Deadline(parameters.deadlineMs ?? services.deadlineMs);
  try {
    const promptTokens = countPrompt(services.backend, parameters);
    const inTime = AbortSignal.any([signal, deadline.signal]);
    const { block, warnings } = await checkInTurn(services, parameters, requestId, inTime);
    const admitted = { requestId, lease, promptTokens, warnings, signal, deadline };
    const run = new CompletionRun(services, parameters, admitted);
    const events = block === undefined ? run.admit() : run.refuse(block);
    return { adapter: lease.adapter, promptTokens, events };
  } catch (error) {
    lease[Symbol.dispose]();
    deadline[Symbol.dispose]();
    throw error;
  }
}

/**
 * Checks what was asked, guilds and people in turn. Whoever would find no place to wait for an answer is told before.
 * @throws HttpProblem 429
 */
async function checkInTurn(
  { queue, checks, moderation }: CompletionServices,
  parameters: ChatParameters,
  requestId: string,
  signal: AbortSignal,
): Promise<InputCheck> {
  const claim = claimOf(parameters, requestId);
  const full = queue.fullness(claim);
  if (full !== undefined) throw queueFull(full);
  const check = () => moderation.checkInput(parameters.messages, signal, parameters.policy);
  return inCheckTurn(checks, claim, { signal, check });
}

function claimOf({ owner, priority, n }: ChatParameters, id: string): Claim {
  return { id, owner, priority, count: n };
}

type Admitted = {
  readonly requestId: string;
  readonly lease: AdapterLease;
  readonly promptTokens: number;
  /** Of the input check. */
  readonly warnings: readonly Warning[];
  readonly signal: AbortSignal;
  /** Since the request came. */
  readonly deadline: Deadline;
};

class CompletionRun {
  readonly #services: CompletionServices;
  readonly #parameters: ChatParameters;
  readonly #admitted: Admitted;
  readonly #leave = new AbortController();
  readonly #signal: AbortSignal;
  readonly #channel = new Channel<CompletionEvent>();
  readonly #enteredMs: number;
  #startedMs: number | undefined;
  #firstTextMs: number | undefined;
  #tokens = 0;
  #outcome = "aborted";
  #category: string | undefined;

  constructor(services: CompletionServices, parameters: ChatParameters, admitted: Admitted) {
    this.#services = services;
    this.#parameters = parameters;
    this.#admitted = admitted;
    const { signal, deadline } = admitted;
    this.#signal = AbortSignal.any([signal, this.#leave.signal, deadline.signal]);
    this.#enteredMs = services.clock.monotonicMs();
  }

  /** Takes places in the queue at once, so that a full one is told before any answer begins. */
  admit(): AsyncGenerator<CompletionEvent> {
    const onPlace = (place: Place) => this.#channel.push({ type: "queued", ...place });
    const claim = { ...claimOf(this.#parameters, this.#admitted.requestId), onPlace };
    const admission = this.#services.queue.admit(claim, this.#signal);
    if (admission.type === "full") throw queueFull(admission);
    return this.#events(this.#generate(admission.turns));
  }

  /** Ends every choice at once with why the request may not be answered. */
  refuse(block: Block): AsyncGenerator<CompletionEvent> {
    for (let index = 0; index < this.#parameters.n; index++) {
      this.#report(index, {
        type: "end",
        reason: "content_filter",
        completionTokens: 0,
        block,
      });
    }
    this.#channel.close();
    return this.#events(Promise.resolve());
  }

  async *#events(work: Promise<void>): AsyncGenerator<CompletionEvent> {
    try {
      yield* this.#channel;
    } catch (error) {
      this.#outcome = this.#admitted.signal.aborted ? "aborted" : "failed";
      throw error;
    } finally {
      this.#leave.abort();
      await work;
      this.#admitted.deadline[Symbol.dispose]();
      this.#admitted.lease[Symbol.dispose]();
      this.#logOutcome();
    }
  }

  /** Never rejects: failures end the channel. */
  async #generate(turns: readonly Promise<Turn>[]): Promise<void> {
    const choices = turns.map(async (pending, index) => {
      try {
        using _turn = await pending;
        this.#startedMs ??= this.#services.clock.monotonicMs();
        await this.#runChoice(index);
      } catch (error) {
        this.#channel.fail(error);
        // One choice's failure is the request's: the others need not go on.
        this.#leave.abort();
      }
    });
    await Promise.all(choices);
    this.#channel.close();
  }

  async #runChoice(index: number): Promise<void> {
    const { messages, tools, sampling, maxTokens, stop, topLogprobs, shape, policy } =
      this.#parameters;
    const { backend, moderation } = this.#services;
    const room = backend.info.contextTokens - this.#admitted.promptTokens;
    const request = {
      messages,
      sampling: { ...sampling, seed: toSeed(sampling.seed + index) },
      maxTokens: Math.min(maxTokens ?? room, room),
      stop,
      ...(topLogprobs === undefined ? {} : { topLogprobs }),
      ...(shape === undefined ? {} : { shape }),
      ...(tools === undefined ? {} : { tools }),
      adapter: this.#admitted.lease.adapter,
      signal: this.#signal,
    };
    const isCallForced = this.#parameters.isCallForced === true;
    for await (const event of runChoice({ backend, moderation, policy, request, isCallForced })) {
      this.#report(index, this.#withWarnings(event));
    }
  }

  /** Notes on what was asked stand with those on the answer. */
  #withWarnings(event: ChoiceEvent): ChoiceEvent {
    const { warnings } = this.#admitted;
    if (event.type !== "end" || warnings.length === 0) return event;
    return { ...event, warnings: [...warnings, ...(event.warnings ?? [])] };
  }

  #report(index: number, event: ChoiceEvent): void {
    if (event.type === "text" || event.type === "tool")
      this.#firstTextMs ??= this.#services.clock.monotonicMs();
    if (event.type === "end") {
      this.#tokens += event.completionTokens;
      this.#outcome = event.reason;
      this.#category = event.block?.category ?? this.#category;
      this.#recordVerdicts(event);
    }
    this.#channel.push({ type: "choice", index, event });
  }

  #recordVerdicts({ block, warnings = [] }: Extract<ChoiceEvent, { type: "end" }>): void {
    const { metrics } = this.#services;
    if (block !== undefined) metrics.recordVerdict({ ...block, action: "block" });
    for (const warning of warnings) metrics.recordVerdict({ ...warning, action: "warn" });
  }

  #logOutcome(): void {
    const since = (atMs: number | undefined) =>
      atMs === undefined ? undefined : Math.round(atMs - this.#enteredMs);
    const record = {
      outcome: this.#outcome,
      adapter: this.#admitted.lease.adapter,
      promptTokens: this.#admitted.promptTokens,
      completionTokens: this.#tokens,
      queuedMs: since(this.#startedMs),
      firstTextMs: since(this.#firstTextMs),
      totalMs: Math.round(this.#services.clock.monotonicMs() - this.#enteredMs),
    };
    this.#services.metrics.record(record);
    const { requestId } = this.#admitted;
    const [choices, category] = [this.#parameters.n, this.#category];
    this.#services.log.info({ event: "completion", requestId, choices, category, ...record });
  }
}

/** Aborts with a `CodedError` once the time is over. */
class Deadline implements Disposable {
  readonly #over = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#timer = setTimeout(() => {
      this.#over.abort(
        new CodedError(
          `The answer was not complete within ${(ms / 1000).toLocaleString("en")} s. Ask for fewer tokens, or again when the engine is less busy.`,
          { code: "deadline_exceeded" },
        ),
      );
    }, ms).unref();
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function countPrompt(backend: Backend, { messages, tools }: ChatParameters): number {
  const { contextTokens } = backend.info;
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0);
  if (characters > contextTokens * CHARACTERS_PER_TOKEN_MOST) {
    throw tooLong(`${characters} characters`, contextTokens);
  }
  const promptTokens = backend.countTokens(messages, tools);
  // One token of room, or there is nothing to answer with.
  if (promptTokens >= contextTokens) throw tooLong(`${promptTokens} tokens`, contextTokens);
  return promptTokens;
}

function tooLong(length: string, contextTokens: number): CodedError {
  return new CodedError(
    `The conversation has ${length}, but the model's context holds ${contextTokens} tokens, answer included. Shorten it, or raise CONTEXT_TOKENS.`,
    { code: "prompt_too_long" },
  );
}
