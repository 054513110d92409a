/**
 * One answer as it shows in a channel: which messages there should be, which there are, and the next
 * request that brings them closer. It knows neither Discord nor the engine.
 */
import { type Draft, isSameDraft } from "./draft.ts";
import type { EditScheduler, EditSource } from "./edit-scheduler.ts";

/** Where messages are put. Discord's rooms implement it. */
export type MessageSurface = {
  /** @returns the new message's id */
  create(draft: Draft): Promise<string>;
  edit(messageId: string, draft: Draft): Promise<void>;
  remove(messageId: string): Promise<void>;
  /** Whether trying again is pointless: the message, channel or permission is gone. */
  isGone(error: unknown): boolean;
};

/** What became of an answer's last state. */
export type ViewOutcome =
  | { readonly kind: "shown"; readonly messageIds: readonly string[] }
  | { readonly kind: "lost"; readonly messageIds: readonly string[]; readonly cause: unknown };

type Shown = { readonly id: string; readonly draft: Draft };

/** Tries for the final state, one interval apart. */
const FINAL_ATTEMPTS = 5;

/** Shows an answer while it grows. */
export class AnswerView implements EditSource {
  readonly #surface: MessageSurface;
  readonly #scheduler: EditScheduler;
  readonly #onGone: (cause: unknown) => void;
  readonly #shown: Shown[] = [];
  #wanted: readonly Draft[] = [];
  #settled: ((outcome: ViewOutcome) => void) | undefined;
  #sending: Promise<unknown> = Promise.resolve();
  #failures = 0;
  #lost: { readonly cause: unknown } | undefined;

  /** @param onGone called once when the place to answer in is gone, so that generation can stop */
  constructor(
    surface: MessageSurface,
    scheduler: EditScheduler,
    onGone: (cause: unknown) => void = () => undefined,
  ) {
    this.#surface = surface;
    this.#scheduler = scheduler;
    this.#onGone = onGone;
  }

  /** Ids of the messages there are so far. */
  get messageIds(): readonly string[] {
    return this.#shown.map(({ id }) => id);
  }

  /** Wants these messages, soon; a newer want replaces it. */
  show(drafts: readonly Draft[]): void {
    if (this.#settled !== undefined || this.#lost !== undefined) return;
    this.#wanted = drafts;
    this.#scheduler.request(this, "progress");
  }

  /** Wants these messages for good. @returns once they are there, or cannot be */
  finish(drafts: readonly Draft[]): Promise<ViewOutcome> {
    if (this.#lost !== undefined) return Promise.resolve(this.#outcome());
    this.#wanted = drafts;
    this.#failures = 0;
    return new Promise((resolve) => {
      this.#settled = resolve;
      this.#scheduler.request(this, "final");
    });
  }

  /** Resolves once no request is on its way, so that `messageIds` is complete. */
  async rest(): Promise<void> {
    await this.#sending;
  }

  sendNext(): Promise<"more" | "nothing"> {
    const sending = this.#send();
    this.#sending = sending;
    return sending;
  }

  async #send(): Promise<"more" | "nothing"> {
    try {
      await this.#step();
    } catch (error) {
      return this.#fail(error);
    }
    this.#failures = 0;
    if (this.#nextIndex() !== undefined) return "more";
    this.#settled?.(this.#outcome());
    return "nothing";
  }

  #nextIndex(): number | undefined {
    const longer = Math.max(this.#wanted.length, this.#shown.length);
    for (let index = 0; index < longer; index++) {
      if (!isSameDraft(this.#shown[index]?.draft, this.#wanted[index])) return index;
    }
    return undefined;
  }

  /** One request: the first message that is not as wanted. */
  async #step(): Promise<void> {
    const index = this.#nextIndex();
    if (index === undefined) return;
    const [shown, draft] = [this.#shown[index], this.#wanted[index]];
    if (draft === undefined) {
      const last = this.#shown.at(-1);
      if (last !== undefined) await this.#surface.remove(last.id);
      this.#shown.pop();
    } else if (shown === undefined) {
      this.#shown.push({ id: await this.#surface.create(draft), draft });
    } else {
      await this.#surface.edit(shown.id, draft);
      this.#shown[index] = { id: shown.id, draft };
    }
  }

  /** A state in the making may fail to show: the next one will. The final one is tried again. */
  #fail(cause: unknown): "more" | "nothing" {
    this.#failures += 1;
    const isHopeless = this.#surface.isGone(cause) || this.#failures >= FINAL_ATTEMPTS;
    if (!isHopeless) return this.#settled === undefined ? "nothing" : "more";
    this.#lost = { cause };
    this.#onGone(cause);
    this.#settled?.(this.#outcome());
    return "nothing";
  }

  #outcome(): ViewOutcome {
    return this.#lost === undefined
      ? { kind: "shown", messageIds: this.messageIds }
      : { kind: "lost", messageIds: this.messageIds, cause: this.#lost.cause };
  }
}
