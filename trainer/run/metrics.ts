/** A run's figures as JSON lines, by TRL's names where TRL has one. It computes none of them. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { explainWriteError, writeFileAtomic } from "#engine/base/atomic-file.ts";

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
    const lines = readMetrics(path);
    const kept = lines.filter((line) => line.step <= step);
    writeFileAtomic(path, kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
    for (const line of kept) this.#note(line);
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

  #note(line: MetricsLine): void {
    const isEvaluation = Object.keys(line).some((name) => name.startsWith("eval_"));
    if (isEvaluation) this.#evaluations.push(line);
  }
}

/** Reads a metrics file; a last line that was cut short by a crash is left out. */
export function readMetrics(path: string): MetricsLine[] {
  return readFileSync(path, "utf8").split("\n").flatMap(parseLine);
}

const lineSchema = z.object({ step: z.number() }).catchall(z.number());

function parseLine(line: string): MetricsLine[] {
  try {
    return [lineSchema.parse(JSON.parse(line))];
  } catch {
    return [];
  }
}
