/**
 * Turns at something that is in one state for all: those who want the state that it is in go at once,
 * others wait until it is idle and then change it. It does not know what the states are.
 */

/** Shares one state among users who want different ones. */
export class StateTurns<State> {
  readonly #change: (to: State) => Promise<void>;
  #state: { readonly value: State } | undefined;
  #users = 0;
  #last: Promise<void> = Promise.resolve();
  #onIdle: () => void = () => {};

  /** @param change puts the thing in a state; called while nobody uses it */
  constructor(change: (to: State) => Promise<void>) {
    this.#change = change;
  }

  /** Waits for the state, in the order of asking; to be disposed when it is needed no longer. */
  async take(wanted: State): Promise<Disposable> {
    const turn = this.#last.then(() => this.#enter(wanted));
    this.#last = turn.catch(() => {});
    await turn;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#users -= 1;
        if (this.#users === 0) this.#onIdle();
      },
    };
  }

  async #enter(wanted: State): Promise<void> {
    if (this.#state === undefined || this.#state.value !== wanted) {
      if (this.#users > 0) {
        await new Promise<void>((resolve) => {
          this.#onIdle = resolve;
        });
      }
      // Unknown until the change is done: a failed one may have left anything.
      this.#state = undefined;
      await this.#change(wanted);
      this.#state = { value: wanted };
    }
    this.#users += 1;
  }
}
