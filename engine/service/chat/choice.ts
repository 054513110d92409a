/**
 * One choice of a completion: generates, and lets out only what the checks have passed.
 * It knows nothing of the wire; the backend sees an abort as soon as the rest may not be shown.
 */
import type {
  Backend,
  GenerateEvent,
  GenerateRequest,
  TokenLogprob,
} from "../../backends/backend.ts";
import type { ToolCallDelta } from "../../backends/prompt.ts";
import { CodedError } from "../../base/errors.ts";
import type { GuildPolicy } from "../../moderation/guild-policy.ts";
import { type Block, type Moderation, toBlock, type Warning } from "../../moderation/moderator.ts";
import { cleanOutput } from "../../moderation/normalise.ts";
import type { StreamCheck } from "../../moderation/stream-check.ts";
import { CheckedCall, type CheckedPieces } from "./checked-call.ts";
import { readForcedCall } from "./forced-call.ts";

/** A token with its alternatives, as the backend reports it. */
export type TokenChoice = TokenLogprob & { readonly top: readonly TokenLogprob[] };

/** What a choice reports: a `start`, checked `text` and pieces of calls, one `end`. */
export type ChoiceEvent =
  | { readonly type: "start"; readonly adapter: string | null }
  | { readonly type: "text"; readonly text: string; readonly logprobs: readonly TokenChoice[] }
  | ({ readonly type: "tool" } & ToolCallDelta)
  | {
      readonly type: "end";
      readonly reason: "stop" | "length" | "tool_calls" | "content_filter";
      readonly completionTokens: number;
      readonly block?: Block;
      /** Passages that were shown with a note. */
      readonly warnings?: readonly Warning[];
    };

/**
 * Runs one choice to its end.
 * @throws CodedError what the backend throws, `engine_stopping` when it was stopped from within;
 *   the signal's reason when that aborts
 */
export async function* runChoice(options: {
  readonly backend: Backend;
  readonly moderation: Moderation;
  readonly policy: GuildPolicy;
  readonly request: GenerateRequest;
  /** Whether the text spells a call. */
  readonly isCallForced?: boolean;
}): AsyncGenerator<ChoiceEvent> {
  const { backend, moderation, policy, request, isCallForced = false } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const output = new CheckedOutput(moderation, policy, { ...request, signal });
  try {
    const events = backend.generate({ ...request, signal });
    for await (const event of isCallForced ? readForcedCall(events) : events) {
      // Whoever aborted says why: the caller left, the time is over, the engine ends.
      if (event.type === "end" && event.reason === "aborted") request.signal.throwIfAborted();
      yield* output.take(event);
      if (output.isOver) return;
    }
    request.signal.throwIfAborted();
    throw new CodedError("The model stopped without an end. Try again; the log may tell more.", {
      code: "native_failed",
    });
  } finally {
    stop.abort();
  }
}

/** The generated text on its way through the check, with each token's log-probabilities. */
class CheckedOutput {
  readonly #moderation: Moderation;
  readonly #policy: GuildPolicy;
  readonly #openCheck: () => StreamCheck;
  readonly #check: StreamCheck;
  readonly #calls: CheckedCall[] = [];
  readonly #warnings: Warning[] = [];
  /** Tokens whose text is not let out yet, by where it ends. */
  #held: { end: number; logprobs: readonly TokenChoice[] }[] = [];
  #produced = 0;
  #tokens = 0;
  #isOver = false;

  constructor(moderation: Moderation, policy: GuildPolicy, request: GenerateRequest) {
    const { messages, signal } = request;
    const onWarning = (warning: Warning) => this.#warn(warning);
    this.#moderation = moderation;
    this.#policy = policy;
    this.#openCheck = () => moderation.openOutput({ messages, signal, policy, onWarning });
    this.#check = this.#openCheck();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async *take(event: GenerateEvent): AsyncGenerator<ChoiceEvent> {
    if (event.type === "start") yield { type: "start", adapter: event.adapter };
    else if (event.type === "text") yield* this.#onText(event);
    else if (event.type === "tool") yield* this.#onCall(event);
    else yield* this.#onEnd(event);
  }

  async *#onText(event: Extract<GenerateEvent, { type: "text" }>): AsyncGenerator<ChoiceEvent> {
    const text = cleanOutput(event.text);
    this.#produced += text.length;
    this.#tokens += event.tokenIds.length;
    if (event.logprobs !== undefined) {
      this.#held.push({ end: this.#produced, logprobs: event.logprobs });
    }
    const release = await this.#check.push(text);
    yield* this.#text(release.text);
    if (release.category !== undefined) yield this.#blocked(release.category, this.#tokens);
  }

  /** What a call would do with its arguments is out of sight, so they are checked as words to people are. */
  async *#onCall(event: Extract<GenerateEvent, { type: "tool" }>): AsyncGenerator<ChoiceEvent> {
    this.#tokens += 1;
    const { type: _, ...delta } = event;
    let call = this.#calls[event.call];
    if (call === undefined) {
      call = new CheckedCall(this.#openCheck());
      this.#calls[event.call] = call;
    }
    yield* this.#pieces(await call.push(delta), this.#tokens);
  }

  *#pieces({ deltas, category }: CheckedPieces, tokens: number): Generator<ChoiceEvent> {
    for (const delta of deltas) yield { type: "tool", ...delta };
    if (category !== undefined) yield this.#blocked(category, tokens);
  }

  async *#onEnd(event: Extract<GenerateEvent, { type: "end" }>): AsyncGenerator<ChoiceEvent> {
    if (event.reason === "aborted") {
      throw new CodedError("The engine stopped before the answer was complete. Try again.", {
        code: "engine_stopping",
      });
    }
    const release = await this.#check.finish();
    yield* this.#text(release.text);
    if (release.category !== undefined) {
      yield this.#blocked(release.category, event.completionTokens);
      return;
    }
    for (const call of this.#calls) {
      yield* this.#pieces(await call.finish(), event.completionTokens);
      if (this.#isOver) return;
    }
    this.#isOver = true;
    const { reason, completionTokens } = event;
    yield { type: "end", reason, completionTokens, ...this.#noted() };
  }

  *#text(text: string): Generator<ChoiceEvent> {
    const logprobs: TokenChoice[] = [];
    while ((this.#held[0]?.end ?? Number.POSITIVE_INFINITY) <= this.#check.released) {
      const entry = this.#held.shift();
      logprobs.push(...(entry?.logprobs ?? []).map((token) => this.#presentable(token)));
    }
    if (text !== "" || logprobs.length > 0) yield { type: "text", text, logprobs };
  }

  /** Alternatives were never part of the checked text, so each is checked by itself. */
  #presentable(token: TokenChoice): TokenChoice {
    return {
      ...token,
      top: token.top.filter((other) => this.#moderation.isTokenClean(other.token)),
    };
  }

  #blocked(category: string, completionTokens: number): ChoiceEvent {
    this.#isOver = true;
    const block = toBlock("output", category, this.#policy);
    return { type: "end", reason: "content_filter", completionTokens, block, ...this.#noted() };
  }

  /** One note for a category; later passages add none. */
  #warn(warning: Warning): void {
    if (this.#warnings.some(({ category }) => category === warning.category)) return;
    this.#warnings.push(warning);
  }

  #noted(): { warnings?: readonly Warning[] } {
    return this.#warnings.length === 0 ? {} : { warnings: this.#warnings };
  }
}
