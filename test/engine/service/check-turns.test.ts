/** Checks of what is asked, by a guard that has fewer streams than there are people who ask. */
import { describe, expect, it } from "vitest";
import type { Moderator } from "#engine/moderation/moderator.ts";
import { until } from "./scripted-backend.ts";
import { answer, ask, post, startScripted } from "./test-service.ts";

/** A guard that finds nothing, each time when it is told to. */
class SlowGuard implements Moderator {
  readonly name = "slow guard";
  readonly asked: string[] = [];
  readonly #pending: (() => void)[] = [];

  check({ stage, turns, signal }: Parameters<Moderator["check"]>[0]): Promise<[]> {
    if (stage === "output") return Promise.resolve([]);
    this.asked.push(turns.at(-1)?.content ?? "");
    return new Promise((resolve, reject) => {
      const finish = () => resolve([]);
      this.#pending.push(finish);
      const leave = () => {
        this.#pending.splice(this.#pending.indexOf(finish), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  finishOne(): void {
    this.#pending.shift()?.();
  }
}

const of = (guild: string, text: string, more: Record<string, unknown> = {}) =>
  ask(text, { metadata: { guild, person: `${guild}-1` }, ...more });

async function start(options: { queueLimit?: number } = {}) {
  const guard = new SlowGuard();
  const script = answer("fine");
  const served = await startScripted({
    ...{ streams: 8, checkStreams: 1, queueLimit: 64, script, moderators: [guard] },
    ...options,
  });
  return { guard, ...served };
}

describe("checks of what is asked", () => {
  it("go by turns of the guilds, however much one of them asks", async () => {
    const { guard, url } = await start();
    const loud = Array.from({ length: 12 }, (_, n) => post(url, of("loud", `loud ${n}`)));
    await until(() => guard.asked.length === 1);
    await until(async () => (await (await fetch(`${url}/metrics`)).text()) !== "");
    const quiet = post(url, of("quiet", "quiet"), { headers: { "x-request-id": "quiet" } });
    const stateOf = async () => (await (await fetch(`${url}/v1/queue/quiet`)).json()).state;
    await until(async () => (await stateOf()) === "checking");
    for (let finished = 1; !guard.asked.includes("quiet"); finished++) {
      expect(finished).toBeLessThanOrEqual(2);
      guard.finishOne();
      await until(() => guard.asked.length === finished + 1);
    }
    const rest = setInterval(() => guard.finishOne(), 1);
    const statuses = (await Promise.all([...loud, quiet])).map(({ status }) => status);
    clearInterval(rest);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it("that would wait too long are refused, and nobody is told that a check could not run", async () => {
    const { guard, url } = await start({ queueLimit: 4 });
    const refused: Response[] = [];
    const asked = Array.from({ length: 12 }, async (_, n) => {
      const answered = await post(url, ask(`question ${n}`));
      if (answered.status === 429) refused.push(answered);
      return answered;
    });
    // One is checked and four wait.
    await until(() => refused.length === 7);
    expect(refused[0]?.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const rest = setInterval(() => guard.finishOne(), 1);
    const all = await Promise.all(asked);
    clearInterval(rest);
    expect(all.filter(({ status }) => status === 200)).toHaveLength(5);
  });

  it("of texts by themselves wait in the same line, and are told when it is too long", async () => {
    const { guard, url } = await start({ queueLimit: 1 });
    const judge = (input: string) =>
      fetch(`${url}/v1/moderations`, { method: "POST", body: JSON.stringify({ input }) });
    const asked = post(url, ask("question"));
    await until(() => guard.asked.length === 1);
    const waiting = [judge("one"), judge("two")];
    const refused = await Promise.race(waiting);
    expect([refused.status, refused.headers.has("retry-after")]).toEqual([429, true]);
    const rest = setInterval(() => guard.finishOne(), 1);
    const statuses = (await Promise.all([asked, ...waiting])).map(({ status }) => status);
    clearInterval(rest);
    expect(statuses.toSorted()).toEqual([200, 200, 429]);
  });

  it("count for the time that a request may take", async () => {
    const { guard, url, backend } = await start();
    const response = await post(url, ask("in a hurry", { deadline_ms: 20 }));
    expect(response.status).toBe(504);
    expect((await response.json()).error.code).toBe("deadline_exceeded");
    expect(guard.asked).toEqual(["in a hurry"]);
    expect(backend.runs).toEqual([]);
    // Its turn is free again.
    const next = post(url, ask("next"));
    await until(() => guard.asked.length === 2);
    guard.finishOne();
    expect((await next).status).toBe(200);
  });
});
