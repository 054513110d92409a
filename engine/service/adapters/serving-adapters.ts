/**
 * Which adapters are loaded and which one answers: verifies before loading, swaps without interruption,
 * and frees an adapter only when no request holds it. It knows nothing of HTTP.
 */
import type { Canary } from "../../adapters/pointer.ts";
import { type AdapterRegistry, assertGatePassed } from "../../adapters/registry.ts";
import type { Backend } from "../../backends/backend.ts";
import { CodedError, isCoded } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { isOnTrial } from "./canary.ts";

/** The adapter that a request began with; it stays loaded until the lease is disposed. */
export type AdapterLease = Disposable & { readonly adapter: string | null };

/** An adapter as `/v1/adapters` shows it. */
export type AdapterState = {
  readonly name: string;
  readonly active: boolean;
  /** Answers a share of the guilds. */
  readonly canary: boolean;
  readonly loaded: boolean;
  readonly sha256?: string;
  readonly created_at?: string;
  readonly parent?: string | null;
  readonly gate_passed?: boolean;
  readonly problem?: string;
};

/** Who answers after a change. */
export type Serving = {
  readonly active: string | null;
  readonly previous: string | null;
  readonly canary: Canary | null;
};

/** The suffix that asks for the bare weights. */
const BARE = "base";

/** The adapters of one backend. */
export class ServingAdapters {
  readonly #registry: AdapterRegistry;
  readonly #backend: Backend;
  readonly #log: Logger;
  readonly #leases = new Map<string, number>();
  readonly #unloading = new Map<string, Promise<void>>();
  /** Loaded on request: kept until unloaded on request. */
  readonly #pinned = new Set<string>();
  /** Unloaded on request while requests still run on them: no new ones may name them. */
  readonly #leaving = new Set<string>();
  readonly #problems: string[] = [];
  #canary: Canary | null = null;
  #active: string | null = null;
  #previous: string | null = null;
  /** What a swap under way is about to activate: loaded, held by no one yet, not to be freed. */
  #incoming: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(registry: AdapterRegistry, backend: Backend, log: Logger) {
    this.#registry = registry;
    this.#backend = backend;
    this.#log = log;
  }

  /**
   * Loads the current adapter; where it is damaged, the last sound one before it, else none. A damaged
   * one is quarantined, one for another base model left alone; both are told in `problems`.
   */
  static async open(options: {
    readonly registry: AdapterRegistry;
    readonly backend: Backend;
    readonly log: Logger;
  }): Promise<ServingAdapters> {
    const serving = new ServingAdapters(options.registry, options.backend, options.log);
    await serving.#start();
    return serving;
  }

  /** The adapter that answers requests which name none; null: the bare weights. */
  get active(): string | null {
    return this.#active;
  }

  /** The adapter on trial, and with which share of the guilds. */
  get canary(): Canary | null {
    return this.#canary;
  }

  /** What went wrong with adapters since the start, for people. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** The names that `model` may have. */
  modelNames(): string[] {
    const { id } = this.#backend.info;
    return [id, `${id}:${BARE}`, ...this.#offered().map((name) => `${id}:${name}`)];
  }

  /**
   * Holds the adapter that a model name stands for.
   * @param model `<id>` or nothing: the active one, or the canary where the guild is on trial; `<id>:base`;
   *   `<id>:<adapter>`
   * @param guild the guild of the conversation; empty outside of guilds
   * @throws CodedError `model_unknown`
   */
  lease(model: string | undefined, guild = ""): AdapterLease {
    const adapter = this.#resolve(model, guild);
    if (adapter === null) return { adapter, [Symbol.dispose]: () => {} };
    this.#leases.set(adapter, (this.#leases.get(adapter) ?? 0) + 1);
    let isHeld = true;
    return {
      adapter,
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#leases.set(adapter, (this.#leases.get(adapter) ?? 1) - 1);
        this.#retire();
      },
    };
  }

  /**
   * Swaps: requests from now on get `name`, those that run keep theirs. One change at a time.
   * @param name an adapter, or `base` for the bare weights
   * @param share of the guilds that get it on trial, above 0 to 1; 1 is everyone, and ends a trial
   * @throws CodedError what the registry or the backend has against it; nothing has changed then
   */
  activate(name: string, share = 1): Promise<Serving> {
    if (share < 1) return this.#inTurn(() => this.#try({ name, share }));
    return this.#inTurn(() => this.#swap(name === BARE ? null : name));
  }

  /** Takes an adapter off: the bare weights answer in place of the active one, the active one in place of a canary. */
  deactivate(name: string): Promise<Serving> {
    return this.#inTurn(async () => {
      if (this.#canary?.name === name) await this.#endTrial();
      return name === this.#active ? await this.#swap(null) : this.#serving();
    });
  }

  /**
   * Loads an adapter, so that requests can name it and activating it takes no time; it stays until `unload`.
   * @throws CodedError as `activate`
   */
  load(name: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#load(name);
      this.#pinned.add(name);
    });
  }

  /**
   * Lets an adapter go, once the last request on it has ended.
   * @returns whether requests still run on it
   * @throws CodedError `adapter_in_use` for the active one and a canary, `adapter_unknown` when it is not loaded
   */
  unload(name: string): Promise<{ readonly draining: boolean }> {
    return this.#inTurn(async () => {
      if (name === this.#active || name === this.#canary?.name) {
        throw new CodedError(
          `Adapter ${name} answers requests. Activate another one, or deactivate it, first.`,
          { code: "adapter_in_use" },
        );
      }
      if (!this.#offered().includes(name)) {
        throw new CodedError(
          `No adapter ${JSON.stringify(name.slice(0, 80))} is loaded. Loaded: ${this.#offered().join(", ") || "none"}.`,
          { code: "adapter_unknown" },
        );
      }
      this.#pinned.delete(name);
      this.#leaving.add(name);
      if (this.#previous === name) this.#previous = null;
      this.#retire();
      return { draining: (this.#leases.get(name) ?? 0) > 0 };
    });
  }

  /** Every adapter of the registry. */
  list(): AdapterState[] {
    const loaded = this.#loaded();
    return this.#registry.list().map((entry) => {
      const { name } = entry;
      const state = {
        name,
        active: name === this.#active,
        canary: name === this.#canary?.name,
        loaded: loaded.includes(name),
      };
      if ("problem" in entry) return { ...state, problem: entry.problem };
      const { sha256, createdAt, parent, gate } = entry.manifest;
      return { ...state, sha256, created_at: createdAt, parent, gate_passed: gate.passed };
    });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #serving(): Serving {
    return { active: this.#active, previous: this.#previous, canary: this.#canary };
  }

  async #try(canary: Canary): Promise<Serving> {
    this.#incoming = canary.name;
    try {
      await this.#load(canary.name);
      await this.#registry.setCanary(canary);
      this.#canary = canary;
    } finally {
      this.#incoming = null;
      this.#retire();
    }
    this.#log.info({ event: "adapter_on_trial", adapter: canary.name, share: canary.share });
    return this.#serving();
  }

  async #endTrial(): Promise<void> {
    await this.#registry.setCanary(null);
    this.#canary = null;
    this.#retire();
  }

  async #swap(name: string | null): Promise<Serving> {
    const previous = this.#active;
    this.#incoming = name;
    try {
      if (name !== null) await this.#load(name);
      await this.#registry.activate(name);
      if (previous !== name) this.#previous = previous;
      this.#active = name;
      this.#canary = null;
    } finally {
      this.#incoming = null;
      this.#retire();
    }
    this.#log.info({ event: "adapter_activated", adapter: name, previous });
    return { active: name, previous, canary: null };
  }

  async #load(name: string): Promise<void> {
    const { path, manifest } = await this.#registry.verify(name, this.#backend.info.sha256);
    assertGatePassed(manifest);
    await this.#unloading.get(name);
    this.#leaving.delete(name);
    if (!this.#loaded().includes(name)) await this.#backend.loadAdapter(name, path);
  }

  async #start(): Promise<void> {
    const { current, history, problem, canary } = this.#registry.pointer();
    if (problem !== undefined) this.#note(problem);
    let hasCorrupt = false;
    for (const name of new Set([current, ...history.toReversed()])) {
      if (name === null) break;
      try {
        await this.#load(name);
        this.#active = name;
        break;
      } catch (error) {
        if (!isCoded(error)) throw error;
        hasCorrupt = this.#onUnusable(name, error) || hasCorrupt;
      }
    }
    if (canary !== undefined) await this.#resumeTrial(canary);
    if (this.#active === current) return;
    this.#note(`${this.#active ?? "The bare weights"} answer in place of adapter ${current}.`);
    // An adapter for another base comes back with its model; a quarantined one does not.
    if (hasCorrupt) await this.#movePointer();
  }

  async #resumeTrial(canary: Canary): Promise<void> {
    try {
      await this.#load(canary.name);
      this.#canary = canary;
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#onUnusable(canary.name, error);
      this.#note(
        `The trial of ${canary.name} is over; ${this.#active ?? "the bare weights"} answer.`,
      );
    }
  }

  /** Notes what is wrong with an adapter; true when it was quarantined. */
  #onUnusable(name: string, error: CodedError): boolean {
    this.#note(error.message);
    if (error.code !== "adapter_corrupt") return false;
    try {
      this.#note(`Adapter ${name} was moved to ${this.#registry.quarantine(name)}.`);
    } catch (cause) {
      this.#log.error({ event: "quarantine_failed", adapter: name, err: cause });
    }
    return true;
  }

  async #movePointer(): Promise<void> {
    try {
      await this.#registry.activate(this.#active);
    } catch (error) {
      this.#log.error({ event: "pointer_not_moved", err: error });
    }
  }

  #note(problem: string): void {
    this.#problems.push(problem);
    this.#log.error({ event: "adapter_problem", problem });
  }

  #resolve(model: string | undefined, guild: string): string | null {
    const { id } = this.#backend.info;
    if (model === undefined || model === "" || model === id) {
      const canary = this.#canary;
      return canary !== null && isOnTrial(canary, guild) ? canary.name : this.#active;
    }
    if (model === `${id}:${BARE}`) return null;
    const name = model.startsWith(`${id}:`) ? model.slice(id.length + 1) : "";
    if (this.#offered().includes(name)) return name;
    throw new CodedError(
      `No model is named ${JSON.stringify(model.slice(0, 80))}. Served are: ${this.modelNames().join(", ")}.`,
      { code: "model_unknown" },
    );
  }

  /** Loaded and not about to be freed. */
  #loaded(): string[] {
    return this.#backend.loadedAdapters().filter((name) => !this.#unloading.has(name));
  }

  #offered(): string[] {
    return this.#loaded().filter((name) => !this.#leaving.has(name));
  }

  /** Frees what neither serves, nor served last, nor is about to, nor was asked for, nor is held by a request. */
  #retire(): void {
    const kept = [this.#active, this.#previous, this.#incoming, this.#canary?.name];
    for (const name of this.#loaded()) {
      if (kept.includes(name) || this.#pinned.has(name)) continue;
      if ((this.#leases.get(name) ?? 0) > 0) continue;
      this.#leases.delete(name);
      this.#unloading.set(name, this.#unload(name));
    }
  }

  async #unload(name: string): Promise<void> {
    try {
      await this.#backend.unloadAdapter(name);
    } catch (error) {
      this.#log.error({ event: "adapter_not_unloaded", adapter: name, err: error });
    } finally {
      this.#unloading.delete(name);
      this.#leaving.delete(name);
    }
  }
}
