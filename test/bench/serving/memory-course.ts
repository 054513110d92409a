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
  /** KV cells of open lanes, which come and go with these: those at work and up to two idle ones. */
  readonly cells: number;
};

/** `lasting`: all but the KV cells; `native`: what of it is no JavaScript. */
type Part = Exclude<keyof MemorySample, "atMs"> | "lasting" | "native";

/** MiB a minute, with the bounds between which it lies at 95%. */
export type Slope = { readonly perMinute: number; readonly low: number; readonly high: number };

/** The heap grows to what the load wants, and KV cells are first touched: that is no leak. */
const WARM_UP_MS = 60_000;
const MIB = 2 ** 20;
const MS_PER_MINUTE = 60_000;
/** Of the normal distribution: there are dozens of samples. */
const Z_95 = 1.96;

/**
 * Looks at a process; undefined when it is gone.
 * @param cellBytes of one KV cell
 */
export async function sampleMemory(
  { pid, url }: ServerProcess,
  atMs: number,
  cellBytes: number,
): Promise<MemorySample | undefined> {
  try {
    const [status, metrics] = [
      readFileSync(`/proc/${pid}/status`, "utf8"),
      await (await fetch(`${url}/metrics`)).text(),
    ];
    const lines = metrics.split("\n");
    const count = (name: string) =>
      Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length) ?? Number.NaN);
    const figure = (name: string) => count(name) / MIB;
    return {
      atMs,
      // proc(5): in KiB.
      resident: Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024,
      heap: figure("nodejs_heap_size_total_bytes"),
      external: figure("nodejs_external_memory_bytes"),
      decodingHeap: figure('zephyr_thread_heap_bytes{thread="decoding"}'),
      decodingExternal: figure('zephyr_thread_external_bytes{thread="decoding"}'),
      cells: (count("zephyr_kv_cells") * cellBytes) / MIB,
    };
  } catch {
    return undefined;
  }
}

/** A part of a sample, MiB. Native are weights, libraries, stacks, the contexts' graphs, the allocator's own. */
function partOf(sample: MemorySample, part: Part): number {
  if (part !== "native" && part !== "lasting") return sample[part];
  const { resident, cells, heap, external, decodingHeap, decodingExternal } = sample;
  const lasting = resident - cells;
  if (part === "lasting") return lasting;
  return lasting - heap - external - decodingHeap - decodingExternal;
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
    cells: "of it KV cells of open lanes",
    lasting: "all but these",
    heap: "serving thread's heap",
    external: "its buffers",
    decodingHeap: "decoding thread's heap",
    decodingExternal: "its buffers",
    native: "native",
  } as const;
  const parts: readonly Part[] = [
    ...(["resident", "cells", "lasting", "heap", "external"] as const),
    ...(["decodingHeap", "decodingExternal", "native"] as const),
  ];
  return parts
    .map((part) => {
      const [from, to] = [partOf(first, part).toFixed(1), partOf(last, part).toFixed(1)];
      const { perMinute, low, high } = slopePerMinute(samples, part);
      return `${names[part]} ${from} to ${to} MiB (${perMinute.toFixed(2)} a minute, 95%: ${low.toFixed(2)} to ${high.toFixed(2)})`;
    })
    .join(", ");
}
