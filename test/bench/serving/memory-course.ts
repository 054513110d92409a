/**
 * What a process's memory consists of over its life, and how fast each part grows. Linux alone tells the resident
 * part; each thread's JavaScript heap and what hangs outside it are the engine's own figures at `/metrics`.
 */
import { readFileSync } from "node:fs";
import type { ServerProcess } from "./server-process.ts";

/** One look at a process. All in MiB. */
export type MemorySample = {
  /** Since the process was ready, ms. */
  readonly atMs: number;
  /** Private pages in memory, without those of mapped files, which are the model's. */
  readonly resident: number;
  /** Of the thread that serves requests. */
  readonly heap: number;
  /** Buffers of JavaScript outside of its heap. */
  readonly external: number;
  readonly decodingHeap: number;
  readonly decodingExternal: number;
};

type Part = Exclude<keyof MemorySample, "atMs"> | "native";

/** MiB a minute, with the bounds between which it lies at 95%. */
export type Slope = { readonly perMinute: number; readonly low: number; readonly high: number };

/** The heap grows to what the load wants, and KV cells are first touched: that is no leak. */
const WARM_UP_MS = 60_000;
const MIB = 2 ** 20;
const MS_PER_MINUTE = 60_000;
/** Of the normal distribution: there are dozens of samples. */
const Z_95 = 1.96;

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
    const lines = metrics.split("\n");
    const figure = (name: string) =>
      Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length) ?? Number.NaN) /
      MIB;
    return {
      atMs,
      // proc(5): in KiB.
      resident: Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024,
      heap: figure("nodejs_heap_size_total_bytes"),
      external: figure("nodejs_external_memory_bytes"),
      decodingHeap: figure('zephyr_thread_heap_bytes{thread="decoding"}'),
      decodingExternal: figure('zephyr_thread_external_bytes{thread="decoding"}'),
    };
  } catch {
    return undefined;
  }
}

/** A part of a sample, MiB; `native` is what is left: weights, libraries, stacks, KV cells, the allocator's own. */
function partOf(sample: MemorySample, part: Part): number {
  if (part !== "native") return sample[part];
  const { resident, heap, external, decodingHeap, decodingExternal } = sample;
  return resident - heap - external - decodingHeap - decodingExternal;
}

/**
 * How fast a part grows, by least squares over all samples but the first minute's. Neighbouring samples are alike, as
 * a heap rises until it is collected, so they count for fewer: the interval is widened by the residuals' correlation
 * from one to the next.
 * @returns NaN when fewer than three samples are left
 */
export function slopePerMinute(samples: readonly MemorySample[], part: Part): Slope {
  const points = samples
    .filter(({ atMs }) => atMs >= WARM_UP_MS)
    .map((sample) => ({ x: sample.atMs / MS_PER_MINUTE, y: partOf(sample, part) }));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const x = sum(points.map((point) => point.x)) / points.length;
  const y = sum(points.map((point) => point.y)) / points.length;
  const spread = sum(points.map((point) => (point.x - x) ** 2));
  const perMinute = sum(points.map((point) => (point.x - x) * (point.y - y))) / spread;
  const residuals = points.map((point) => point.y - y - perMinute * (point.x - x));
  const squares = sum(residuals.map((residual) => residual ** 2));
  const products = sum(residuals.slice(1).map((residual, i) => residual * (residuals[i] ?? 0)));
  const likeness = squares === 0 ? 0 : Math.min(0.95, Math.max(0, products / squares));
  const error = Math.sqrt(squares / (points.length - 2) / spread);
  const half = Z_95 * error * Math.sqrt((1 + likeness) / (1 - likeness));
  return { perMinute, low: perMinute - half, high: perMinute + half };
}

/** In words: from where to where each part went, and its slope. */
export function describeCourse(samples: readonly MemorySample[]): string {
  const warm = samples.filter(({ atMs }) => atMs >= WARM_UP_MS);
  const [first, last] = [warm[0], warm.at(-1)];
  if (first === undefined || last === undefined) return "too short to say";
  const names = {
    resident: "resident",
    heap: "serving thread's heap",
    external: "its buffers",
    decodingHeap: "decoding thread's heap",
    decodingExternal: "its buffers",
    native: "native",
  } as const;
  const parts: readonly Part[] = [
    ...(["resident", "heap", "external", "decodingHeap", "decodingExternal", "native"] as const),
  ];
  return parts
    .map((part) => {
      const [from, to] = [partOf(first, part).toFixed(1), partOf(last, part).toFixed(1)];
      const { perMinute, low, high } = slopePerMinute(samples, part);
      return `${names[part]} ${from} to ${to} MiB (${perMinute.toFixed(2)} a minute, 95%: ${low.toFixed(2)} to ${high.toFixed(2)})`;
    })
    .join(", ");
}
