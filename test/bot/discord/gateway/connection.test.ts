import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectionPace } from "#bot/discord/gateway/connection-pace.ts";
import { GatewayLedger } from "#bot/discord/gateway/gateway-ledger.ts";
import { IDENTIFY_LIMIT, IdentifyBudget } from "#bot/discord/gateway/identify-budget.ts";
import { INVALID_LIMIT, InvalidRequestCircuit } from "#bot/discord/gateway/invalid-requests.ts";
import { createLog } from "#engine/base/log.ts";
import { HandClock } from "../../../deploy/playground/arena.ts";

const log = createLog("test", "silent");
const HOUR_MS = 3_600_000;
let folder: string;
let clock: HandClock;
const ledgers: GatewayLedger[] = [];
/** Each as another process, or the same one after a restart, has it. */
function openLedger(): GatewayLedger {
  const ledger = GatewayLedger.open(folder, log);
  ledgers.push(ledger);
  return ledger;
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "connection-"));
  clock = new HandClock();
});
afterEach(() => {
  for (const ledger of ledgers.splice(0)) ledger[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe("IDENTIFYs", () => {
  const signal = new AbortController().signal;
  const open = () => new IdentifyBudget(openLedger(), clock, log);
  /** As many as the day allows, the first one `agoMs` ago. */
  const spend = (agoMs: number) => {
    const [ledger, from] = [openLedger(), clock.nowMs() - agoMs];
    for (let n = 0; n < IDENTIFY_LIMIT; n++) {
      ledger.takeIdentify(n, from + n, { perDay: IDENTIFY_LIMIT, intervalMs: 5_000 });
    }
  };

  test("are counted for all processes, and a restart does not forget them", async () => {
    const [one, two] = [open(), open()];
    await one.waitForIdentify(0, signal);
    clock.forward(5_000);
    await two.waitForIdentify(1, signal);
    expect([one.left, two.left, open().left]).toEqual(Array(3).fill(IDENTIFY_LIMIT - 2));
  });

  test("are five seconds apart, whichever process sends them, also over a restart", async () => {
    const other = open();
    await open().waitForIdentify(0, signal);
    clock.forward(2_000);
    expect(other.waitMs(1)).toBe(3_000);
    clock.forward(3_000);
    expect(open().waitMs(0)).toBe(0);
  });

  test("of shards in different buckets go at once", async () => {
    const [one, two] = [open(), open()];
    for (const budget of [one, two]) budget.maxConcurrency = 2;
    await one.waitForIdentify(0, signal);
    expect([two.waitMs(1), two.waitMs(2)]).toEqual([0, 5_000]);
  });

  test("stop at 500 in 24 hours, until the oldest is a day old", () => {
    spend(HOUR_MS);
    const budget = open();
    expect(budget.left).toBe(0);
    expect(budget.waitMs(0)).toBe(23 * HOUR_MS);
    clock.forward(23 * HOUR_MS + 1);
    expect(budget.left).toBeGreaterThan(0);
    expect(budget.waitMs(0)).toBe(0);
  });

  test("that wait end when the client no longer wants to connect", async () => {
    spend(0);
    const leaving = new AbortController();
    const waiting = open().waitForIdentify(0, leaving.signal);
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    expect(open().left).toBe(0);
  });

  test("of an earlier version's file count, too", () => {
    const path = join(folder, "identify.json");
    writeFileSync(path, JSON.stringify({ identifiedAtMs: [clock.nowMs() - 1_000] }));
    expect(open().left).toBe(IDENTIFY_LIMIT - 1);
    expect(open().left).toBe(IDENTIFY_LIMIT - 1);
    expect(existsSync(path)).toBe(false);
  });

  test("with a damaged count begin anew, and are counted again", async () => {
    writeFileSync(join(folder, "gateway.db"), "this is no database at all, whatever its name says");
    await open().waitForIdentify(0, signal);
    expect(open().left).toBe(IDENTIFY_LIMIT - 1);
  });
});

describe("attempts to connect", () => {
  test("pause for twice as long each time, up to a minute, and at once again after a success", () => {
    const pace = new ConnectionPace(log, () => 1);
    const pauses = Array.from({ length: 10 }, () => pace.nextPauseMs());
    expect(pauses).toEqual([0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    pace.succeeded();
    expect([pace.nextPauseMs(), pace.nextPauseMs()]).toEqual([0, 1_000]);
  });

  test("are spread, so that many bots don't come back at once", () => {
    const paces = [0, 1].map((random) => new ConnectionPace(log, () => random));
    const third = paces.map((pace) => [pace.nextPauseMs(), pace.nextPauseMs(), pace.nextPauseMs()]);
    expect(third.map(([, , pause]) => pause)).toEqual([500, 1_000]);
  });

  test("are not made once the bot has stopped", async () => {
    const pace = new ConnectionPace(log);
    pace.stop();
    const went = vi.fn();
    void pace.beforeAttempt().then(went);
    await new Promise(setImmediate);
    expect(went).not.toHaveBeenCalled();
  });
});

describe("the circuit over invalid requests", () => {
  const answer = (status: number, scope: string | null = null) => ({
    status,
    headers: { get: () => scope },
  });
  const sending = (circuit: InvalidRequestCircuit, reply: ReturnType<typeof answer>) => {
    const sent = vi.fn(() => Promise.resolve(reply));
    return { sent, send: circuit.guard(sent) };
  };

  test.each([401, 403, 429])(
    "opens at 1,000 answers of %d, sends nothing, and closes after ten minutes",
    async (status) => {
      const circuit = new InvalidRequestCircuit(openLedger(), clock, log);
      const { send, sent } = sending(circuit, answer(status));
      for (let index = 0; index < INVALID_LIMIT; index++) await send();
      expect(circuit.isOpen).toBe(true);
      await expect(send()).rejects.toMatchObject({ code: "discord_circuit_open" });
      expect(sent).toHaveBeenCalledTimes(INVALID_LIMIT);
      clock.forward(10 * 60_000);
      await send();
      expect(sent).toHaveBeenCalledTimes(INVALID_LIMIT + 1);
      expect(circuit.isOpen).toBe(false);
    },
  );

  test("counts for all processes: none of them sends once it is open", async () => {
    const [one, two] = [0, 1].map(() => new InvalidRequestCircuit(openLedger(), clock, log));
    if (one === undefined || two === undefined) throw new Error("two circuits");
    const { send } = sending(one, answer(403));
    const { send: sendOther, sent } = sending(two, answer(403));
    for (let index = 0; index < INVALID_LIMIT / 2; index++) {
      await send();
      await sendOther();
    }
    expect([one.isOpen, two.isOpen]).toEqual([true, true]);
    await expect(sendOther()).rejects.toMatchObject({ code: "discord_circuit_open" });
    expect(sent).toHaveBeenCalledTimes(INVALID_LIMIT / 2);
  });

  test("does not count what is fine, missing, broken, or limited for everybody", async () => {
    const circuit = new InvalidRequestCircuit(openLedger(), clock, log);
    for (const reply of [answer(200), answer(404), answer(500), answer(429, "shared")]) {
      const { send } = sending(circuit, reply);
      for (let index = 0; index < INVALID_LIMIT; index++) await send();
    }
    expect(circuit.isOpen).toBe(false);
  });

  test("counts each ten minutes by themselves", async () => {
    const circuit = new InvalidRequestCircuit(openLedger(), clock, log);
    const { send } = sending(circuit, answer(403));
    for (let index = 0; index < INVALID_LIMIT - 1; index++) await send();
    clock.forward(10 * 60_000);
    await send();
    expect(circuit.isOpen).toBe(false);
  });
});
