import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { BotFigures } from "#bot/metrics/bot-figures.ts";
import { answer, startScripted } from "../engine/service/test-service.ts";

const DEPLOY = new URL("../../deploy/", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, DEPLOY), "utf8");
const dashboard = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })) })),
});

/** What the bot and a running engine really export. */
async function exported(): Promise<ReadonlySet<string>> {
  const bot = new BotFigures({
    shard: { index: 0, count: 1 },
    isConnected: () => true,
    pingMs: () => 1,
    guilds: () => 1,
    inFlight: () => 0,
    waiting: () => 0,
    identifiesLeft: () => 1,
    isCircuitOpen: () => false,
    isRedisUp: () => true,
  });
  const { url } = await startScripted({ script: answer("ok") });
  const texts = [await bot.text(), await (await fetch(`${url}/metrics`)).text()];
  const types = texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+)/gm)]);
  return new Set(types.map(([, name]) => String(name)));
}

/** The metrics of an expression, a histogram's by its own name. */
function metricsOf(expr: string): readonly string[] {
  const names = [...expr.matchAll(/\b(?:zephyr|process)_[a-z_]+/g)].map(([name]) => name);
  return names.map((name) => name.replace(/_(bucket|count|sum)$/, ""));
}

describe("what is watched exists", () => {
  test("each expression of the dashboard names metrics that the engine or the bot exports", async () => {
    const known = await exported();
    const { panels } = dashboard.parse(JSON.parse(read("grafana/dashboard.json")));
    const used = panels.flatMap(({ targets }) => targets).flatMap(({ expr }) => metricsOf(expr));
    expect(used.length).toBeGreaterThan(20);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  });

  test("so does each alert", async () => {
    const known = await exported();
    const expressions = [...read("grafana/alerts.yaml").matchAll(/^ +expr: (.+)$/gm)];
    const used = expressions.map(([, expr]) => metricsOf(String(expr)));
    expect(used.length).toBeGreaterThan(5);
    for (const names of used) {
      expect(names.length).toBeGreaterThan(0);
      expect(names.filter((name) => !known.has(name))).toEqual([]);
    }
  });
});

describe("what is deployed", () => {
  test("finishes answers: each place waits longer than the bot's 25 s", () => {
    const seconds = (file: string, pattern: RegExp) => Number(pattern.exec(read(file))?.[1]);
    expect(seconds("docker/compose.yaml", /stop_grace_period: (\d+)s/)).toBeGreaterThan(30);
    expect(seconds("systemd/zephyr.service", /TimeoutStopSec=(\d+)/)).toBeGreaterThan(30);
    const pod = /terminationGracePeriodSeconds: (\d+)/;
    expect(seconds("kubernetes/deployment.yaml", pod)).toBeGreaterThan(30);
  });

  test("gets the token by a file, never by its environment", () => {
    for (const file of [
      "docker/compose.yaml",
      "systemd/zephyr.service",
      "kubernetes/deployment.yaml",
    ]) {
      expect(read(file)).toContain("DISCORD_TOKEN_FILE");
      expect(read(file)).not.toMatch(/DISCORD_TOKEN\b(?!_FILE)/);
    }
  });
});
