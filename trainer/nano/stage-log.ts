/** How long each stage took, over interruptions, and the training log that is published. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { readMetrics } from "../run/metrics.ts";

/** What a stage took. */
export type StageRecord = {
  readonly stage: string;
  readonly seconds: number;
  /** Of the process on all its threads: how much of the machine was really used. */
  readonly cpuSeconds: number;
  readonly threads: number;
};

/** Of the optimiser steps, one in this many is published, beside those with an evaluation. */
const PUBLISHED_EVERY = 10;

/** Measures stages and keeps what was measured in the run's folder. */
export class StageTimes {
  readonly #path: string;
  readonly #threads: number;
  readonly #records = new Map<string, StageRecord>();

  constructor(runDir: string, threads: number) {
    this.#path = join(runDir, "stages.json");
    this.#threads = threads;
    if (!existsSync(this.#path)) return;
    const known: StageRecord[] = JSON.parse(readFileSync(this.#path, "utf8"));
    for (const record of known) this.#records.set(record.stage, record);
  }

  /** In the order in which they first ran. */
  get records(): readonly StageRecord[] {
    return [...this.#records.values()];
  }

  /** Runs a stage; the time of a stage that goes on is added to what it took before. */
  async measure<T>(stage: string, run: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    const startCpu = process.cpuUsage();
    const result = await run();
    const { user, system } = process.cpuUsage(startCpu);
    const seconds = (performance.now() - startMs) / 1000;
    // A stage whose file was there already takes no time worth adding.
    if (seconds > 1 || !this.#records.has(stage)) this.#add(stage, seconds, (user + system) / 1e6);
    return result;
  }

  #add(stage: string, seconds: number, cpuSeconds: number): void {
    const before = this.#records.get(stage);
    this.#records.set(stage, {
      stage,
      seconds: round((before?.seconds ?? 0) + seconds),
      cpuSeconds: round((before?.cpuSeconds ?? 0) + cpuSeconds),
      threads: this.#threads,
    });
    writeFileAtomic(this.#path, `${JSON.stringify(this.records, null, 2)}\n`);
  }
}

/** The stages' records and a thinned copy of their metrics, as JSON lines. */
export function stageLog(runDir: string, stages: readonly StageRecord[]): string {
  return stages
    .flatMap((record) => [record, ...publishedMetrics(runDir, record.stage)])
    .map((line) => `${JSON.stringify(line)}\n`)
    .join("");
}

function publishedMetrics(runDir: string, stage: string): object[] {
  const path = join(runDir, stage, "metrics.jsonl");
  if (!existsSync(path)) return [];
  return readMetrics(path)
    .filter((line) => line.step % PUBLISHED_EVERY === 0 || "eval_loss" in line)
    .map((line) => ({ stage, ...line }));
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
