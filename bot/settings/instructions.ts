/**
 * What a server's managers have written for the system prompt: judged when it is saved, and again when it is
 * used after the rules have changed. Verdicts are kept by a hash of the text and the rules' version. It knows
 * nothing of Discord.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Keyv } from "keyv";
import { isCoded } from "#engine/base/errors.ts";
import type { Logger } from "#engine/base/log.ts";
import type { Language } from "../language/language.ts";
import type { GuildSettings } from "./guild-settings.ts";
import {
  type InstructionVerdict,
  instructionReason,
  instructionVerdictSchema,
} from "./instruction-check.ts";
import { asksToSetRulesAside } from "./instruction-rules.ts";

/** A question waits so long for a verdict; then it is asked without what is not judged yet. */
const WAIT_MS = 1_000;
/** A text that nobody uses for so long is judged anew. */
const KEPT_MS = 90 * 24 * 60 * 60 * 1_000;

/** One text that would stand in the system prompt. */
export type Written = { readonly persona: string | undefined; readonly text: string };

type Parts = {
  readonly judge: (text: string) => Promise<InstructionVerdict>;
  /** Says when the engine judges by other rules than before. @throws CodedError where it is away */
  readonly policy: () => Promise<string>;
  /** Told each time that something saved is left out, because rules stand against it. */
  readonly onLeftOut: (guildId: string, left: Written & { verdict: InstructionVerdict }) => void;
  readonly log: Logger;
};

/** All servers' instructions. */
export class Instructions {
  readonly #store: Keyv;
  readonly #parts: Parts;
  readonly #judging = new Map<string, Promise<InstructionVerdict>>();

  /** @param store keeps verdicts */
  constructor(store: Keyv, parts: Parts) {
    this.#store = store;
    this.#parts = parts;
  }

  /** Why texts may not be saved, as the end of a sentence; undefined where they may. They are judged anew. */
  async problem(language: Language, texts: readonly string[]): Promise<string | undefined> {
    for (const text of texts) {
      const reason = instructionReason(language, await this.#judge(text));
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** Those of the texts that may stand now. What cannot be judged in time is left out. */
  async fitting(guildId: string, written: readonly Written[]): Promise<readonly string[]> {
    const verdicts = await Promise.all(written.map(({ text }) => this.#inTime(text)));
    return written.flatMap((one, index) => {
      const verdict = verdicts[index] ?? { kind: "unchecked" };
      if (verdict.kind === "fits") return [one.text];
      if (verdict.kind !== "unchecked") this.#parts.onLeftOut(guildId, { ...one, verdict });
      return [];
    });
  }

  /** Of everything that a server has saved, what is left out now, as far as it has been judged. */
  async leftOut({ personas, promptAddition }: GuildSettings): Promise<ReadonlySet<string>> {
    const texts = [...personas.map(({ text }) => text), promptAddition];
    const verdicts = await Promise.all(texts.map((text) => this.#inTime(text)));
    const isOut = (index: number) => !["fits", "unchecked"].includes(verdicts[index]?.kind ?? "");
    return new Set(texts.filter((_, index) => isOut(index)));
  }

  /** Judging goes on where it takes longer, for the next question. */
  async #inTime(text: string): Promise<InstructionVerdict> {
    if (text.trim() === "") return { kind: "fits" };
    // Cheap, and part of the code: it needs no version.
    if (asksToSetRulesAside(text)) return { kind: "aside" };
    const judging = this.#known(text).catch((error: unknown): InstructionVerdict => {
      if (!isCoded(error)) this.#parts.log.error({ err: error }, "instructions were not judged");
      return { kind: "unchecked" };
    });
    const late = sleep(WAIT_MS, { kind: "unchecked" } as const, { ref: false });
    return Promise.race([judging, late]);
  }

  /** The verdict that is kept, or a new one. */
  async #known(text: string): Promise<InstructionVerdict> {
    const stored = await this.#store.get(await this.#keyOf(text));
    return instructionVerdictSchema.safeParse(stored).data ?? (await this.#judgeOnce(text));
  }

  /** However many questions wait for it. */
  #judgeOnce(text: string): Promise<InstructionVerdict> {
    const running = this.#judging.get(text);
    if (running !== undefined) return running;
    const judging = this.#judge(text).finally(() => this.#judging.delete(text));
    this.#judging.set(text, judging);
    return judging;
  }

  /** Where nobody could judge, the next one tries again. */
  async #judge(text: string): Promise<InstructionVerdict> {
    const verdict = await this.#parts.judge(text);
    if (verdict.kind === "unchecked") return verdict;
    const key = await this.#keyOf(text).catch(() => undefined);
    if (key !== undefined) await this.#store.set(key, verdict, KEPT_MS).catch(() => undefined);
    return verdict;
  }

  /** @throws CodedError where the engine does not say by which rules it judges */
  async #keyOf(text: string): Promise<string> {
    const policy = await this.#parts.policy();
    return createHash("sha256")
      .update(JSON.stringify([policy, text]))
      .digest("hex");
  }
}
