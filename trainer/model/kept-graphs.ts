/** The graphs of the batch shapes that came last, within bounds of count and memory. */
import type { ModelGraph } from "./model-graph.ts";

/** Graphs kept at most. */
const GRAPHS_KEPT = 24;
/** Bytes of inputs of all kept graphs but the newest. */
const INPUT_BYTES_KEPT = 2 ** 25;

/** Bytes that the inputs of kept graphs take at most, where the largest has `bytes`. */
export function keptInputBytes(bytes: number): number {
  return bytes + Math.min((GRAPHS_KEPT - 1) * bytes, INPUT_BYTES_KEPT);
}

/** Graphs by key, the least recently used first. */
export class KeptGraphs implements Disposable {
  readonly #graphs = new Map<string, ModelGraph>();

  /** The graph of that key, now the most recently used. */
  take(key: string): ModelGraph | undefined {
    const kept = this.#graphs.get(key);
    if (kept === undefined) return undefined;
    this.#graphs.delete(key);
    this.#graphs.set(key, kept);
    return kept;
  }

  /** Keeps a graph in place of another of its key, and lets the oldest go that are too many. */
  keep(key: string, graph: ModelGraph): void {
    this.#graphs.get(key)?.graph[Symbol.dispose]();
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    for (const oldest of this.#graphs.keys()) {
      if (this.#graphs.size <= GRAPHS_KEPT && this.#olderBytes() <= INPUT_BYTES_KEPT) return;
      this.#graphs.get(oldest)?.graph[Symbol.dispose]();
      this.#graphs.delete(oldest);
    }
  }

  [Symbol.dispose](): void {
    for (const { graph } of this.#graphs.values()) graph[Symbol.dispose]();
    this.#graphs.clear();
  }

  #olderBytes(): number {
    const all = [...this.#graphs.values()].map(({ graph }) => graph.inputBytes);
    return all.slice(0, -1).reduce((sum, bytes) => sum + bytes, 0);
  }
}
