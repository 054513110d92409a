/** A run's figures as JSON lines, by TRL's names where TRL has one. It computes none of them. */
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { explainWriteError, writeChunksAtomic } from "#engine/base/atomic-file.ts";
import { linesOf } from "../data/lines.ts";

/** One line: `step` and numbers by name, such as `loss`, `rewards/margins`, `eval_loss`. */
export type MetricsLine = { readonly step: number } & Readonly<Record<string, number>>;

/** The file of one run. */
export class MetricsLog {
  readonly #path: string;
  /** Evaluations only: there are few of them, and steps may be many. */
  readonly #evaluations: MetricsLine[] = [];

  /**
   * Opens the file; lines past `step`, which a run left behind when it was killed, are removed, since
   * the resumed run writes them again.
   */
  constructor(path: string, step: number) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    if (!existsSync(path)) return;
    writeChunksAtomic(path, this.#keep(step));
  }

  /** Lines of evaluations, oldest first. */
  get evaluations(): readonly MetricsLine[] {
    return this.#evaluations;
  }

  /** @throws CodedError `disk_full` */
  append(line: MetricsLine): void {
    try {
      appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
    } catch (error) {
      throw explainWriteError(error, this.#path);
    }
    this.#note(line);
  }

  *#keep(lastStep: number): Generator<Buffer> {
    for (const line of eachLine(this.#path)) {
      if (line.step > lastStep) continue;
      this.#note(line);
      yield Buffer.from(`${JSON.stringify(line)}\n`);
    }
  }

  #note(line: MetricsLine): void {
    if (isEvaluation(line)) this.#evaluations.push(line);
  }
}

/** Reads a metrics file; a last line that was cut short by a crash is left out. */
export function readMetrics(path: string): MetricsLine[] {
  return [...eachLine(path)];
}

/**
 * Every n-th step and every m-th evaluation of a metrics file, so that a picture of a long run takes no more memory
 * than that of a short one: all lines where there are at most `most` of either.
 */
export function sampleMetrics(path: string, most: number): MetricsLine[] {
  const [steps, evaluations] = [new Sample(most), new Sample(most)];
  for (const line of eachLine(path)) (isEvaluation(line) ? evaluations : steps).add(line);
  return [...steps.lines, ...evaluations.lines];
}

/** Every n-th of what was added, where n is the least power of two that leaves no more than `most`. */
class Sample {
  lines: MetricsLine[] = [];
  readonly #most: number;
  #stride = 1;
  #added = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(line: MetricsLine): void {
    if (this.#added++ % this.#stride !== 0) return;
    this.lines.push(line);
    if (this.lines.length <= this.#most) return;
    this.lines = this.lines.filter((_, index) => index % 2 === 0);
    this.#stride *= 2;
  }
}

function isEvaluation(line: MetricsLine): boolean {
  return Object.keys(line).some((name) => name.startsWith("eval_"));
}

function* eachLine(path: string): Generator<MetricsLine> {
  for (const line of linesOf(path)) yield* parseLine(line);
}

const lineSchema = z.object({ step: z.number() }).catchall(z.number());

function parseLine(line: string): MetricsLine[] {
  try {
    return [lineSchema.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}
