/**
 * What a process's memory consists of over its life, and how fast each part grows. Linux alone tells the resident
 * part; the JavaScript heap and what hangs outside it are the engine's own figures at `/metrics`.
 */
import { readFileSync } from "node:fs";
import type { ServerProcess } from "./server-process.ts";

/** One look at a process. All in MiB. */
export type MemorySample = {
  /** Since the process was ready, ms. */
  readonly atMs: number;
  /** Private pages in memory, without those of mapped files, which are the model's. */
  readonly resident: number;
  readonly heap: number;
  /** Buffers of JavaScript outside of its heap. */
  readonly external: number;
};

type Part = Exclude<keyof MemorySample, "atMs"> | "native";

/** The heap grows to what the load wants, and KV cells are first touched: that is no leak. */
const WARM_UP_MS = 60_000;
const MIB = 2 ** 20;
const MS_PER_MINUTE = 60_000;

/** Looks at a process; undefined when it is gone. */
export async function sampleMemory(
  { pid, url }: ServerProcess,
  atMs: number,
): Promise<MemorySample | undefined> {
  try {
    const [status, metrics] = [
      readFileSync(`/proc/${pid}/status`, "utf8"),
      await (await fetch(`${url}/metrics`)).text(),
    ];
    const figure = (name: string) =>
      Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? Number.NaN) / MIB;
    return {
      atMs,
      // proc(5): in KiB.
      resident: Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024,
      heap: figure("nodejs_heap_size_total_bytes"),
      external: figure("nodejs_external_memory_bytes"),
    };
  } catch {
    return undefined;
  }
}

/** A part of a sample, MiB; `native` is what is left: libraries, stacks, KV cells, the allocator's own. */
function partOf(sample: MemorySample, part: Part): number {
  const { resident, heap, external } = sample;
  return part === "native" ? resident - heap - external : sample[part];
}

/**
 * How fast a part grows, by least squares over all samples but the first minute's. MiB a minute.
 * @returns NaN when fewer than two samples are left
 */
export function slopePerMinute(samples: readonly MemorySample[], part: Part): number {
  const points = samples
    .filter(({ atMs }) => atMs >= WARM_UP_MS)
    .map((sample) => ({ x: sample.atMs / MS_PER_MINUTE, y: partOf(sample, part) }));
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map((point) => point.x)), mean(points.map((point) => point.y))];
  const covariance = mean(points.map((point) => (point.x - x) * (point.y - y)));
  return covariance / mean(points.map((point) => (point.x - x) ** 2));
}

/** In words: from where to where each part went, and its slope. */
export function describeCourse(samples: readonly MemorySample[]): string {
  const warm = samples.filter(({ atMs }) => atMs >= WARM_UP_MS);
  const [first, last] = [warm[0], warm.at(-1)];
  if (first === undefined || last === undefined) return "too short to say";
  return (["resident", "heap", "external", "native"] as const)
    .map((part) => {
      const [from, to] = [partOf(first, part).toFixed(0), partOf(last, part).toFixed(0)];
      return `${part} ${from} to ${to} MiB (${slopePerMinute(samples, part).toFixed(1)} a minute)`;
    })
    .join(", ");
}
