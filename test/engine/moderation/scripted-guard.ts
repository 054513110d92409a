/** A guard model that answers by a script, for what the verdict logic makes of an answer. */
import type { GenerateEvent } from "#engine/backends/backend.ts";
import { CodedError } from "#engine/base/errors.ts";
import type { GuardModel } from "#engine/moderation/guard.ts";
import type { GuardTurn } from "#engine/moderation/guard-format.ts";

type Token = readonly [token: string, top?: Readonly<Record<string, number>>];

/** The events of an answer; `top` gives each alternative's probability. */
export async function* answered(tokens: readonly Token[]): AsyncGenerator<GenerateEvent> {
  yield { type: "start", promptTokens: 1, adapter: null };
  for (const [token, top = { [token]: 1 }] of tokens) {
    const report = (text: string, share: number) => ({
      token: text,
      bytes: [...Buffer.from(text)],
      logprob: Math.log(share),
    });
    const logprobs = [
      { ...report(token, top[token] ?? 1), top: Object.entries(top).map(([t, p]) => report(t, p)) },
    ];
    yield { type: "text", text: token, tokenIds: [1], logprobs };
  }
  yield { type: "end", reason: "stop", completionTokens: tokens.length };
}

/** Qwen3Guard's answer with the probability that it gives each verdict. */
export function qwenAnswer(
  shares: { Safe?: number; Unsafe?: number; Controversial?: number },
  categories = "None",
): readonly Token[] {
  const top = Object.fromEntries(Object.entries(shares).map(([name, p]) => [` ${name}`, p]));
  const [likeliest] = Object.entries(top).toSorted(([, a], [, b]) => b - a);
  return [
    ["Safety"],
    [":"],
    [likeliest?.[0] ?? " Safe", top],
    ["\n"],
    [`Categories: ${categories}`],
  ];
}

/** A guard model that `judge` speaks for. Longer conversations than `limit` characters do not fit it. */
export class ScriptedGuard implements GuardModel {
  readonly name = "scripted guard";
  readonly asked: (readonly GuardTurn[])[] = [];
  readonly #judge: (text: string) => readonly Token[];
  readonly #limit: number;

  constructor(judge: (text: string) => readonly Token[], limit = Number.POSITIVE_INFINITY) {
    this.#judge = judge;
    this.#limit = limit;
  }

  async *ask(_format: unknown, turns: readonly GuardTurn[]): AsyncGenerator<GenerateEvent> {
    if (turns.reduce((sum, { content }) => sum + content.length, 0) > this.#limit) {
      throw new CodedError("too long for the guard", { code: "prompt_too_long" });
    }
    this.asked.push(turns);
    yield* answered(this.#judge(turns.at(-1)?.content ?? ""));
  }
}
