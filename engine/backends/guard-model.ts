/**
 * Guard models behind the backends' interface: a GGUF of its own, the chat model itself on its bare weights
 * in contexts of its own, or a model that another server answers with. It reads no verdict.
 */
import type { GuardModel } from "../moderation/guard.ts";
import type { GuardFormat, GuardTurn } from "../moderation/guard-format.ts";
import type { Backend, GenerateEvent, GenerateRequest } from "./backend.ts";

/** `Safety: Unsafe`, a list of categories and `Refusal: No` fit. */
const VERDICT_TOKENS = 48;
const ALTERNATIVES = 20;

/** A backend's bare weights as a guard. The backend stays its owner's to dispose. */
export class BackendGuard implements GuardModel {
  readonly name: string;
  readonly #backend: Pick<Backend, "generate">;
  readonly #wrapsItself: boolean;

  /**
   * @param options.wrapsItself whether the backend's own template asks the guard's question, as
   *   Qwen3Guard's does where another server applies it
   */
  constructor(
    name: string,
    backend: Pick<Backend, "generate">,
    options: { readonly wrapsItself?: boolean } = {},
  ) {
    this.name = name;
    this.#backend = backend;
    this.#wrapsItself = options.wrapsItself === true;
  }

  ask(
    format: GuardFormat,
    turns: readonly GuardTurn[],
    signal: AbortSignal,
  ): AsyncIterable<GenerateEvent> {
    const request: GenerateRequest = {
      messages: this.#wrapsItself ? turns : [{ role: "user", content: format.prompt(turns) }],
      sampling: { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0 },
      maxTokens: VERDICT_TOKENS,
      stop: [],
      topLogprobs: ALTERNATIVES,
      // An adapter has learnt what people like, which is not what is safe.
      adapter: null,
      signal,
    };
    return this.#backend.generate(request);
  }
}
