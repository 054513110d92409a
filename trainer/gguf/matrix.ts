/** A stored matrix's values in F32, with a low-rank product added where there is one: ggml does the arithmetic. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { Device } from "../ggml/device.ts";
import { Graph, WorkSpace } from "../ggml/graph.ts";
import { readFloats, Storage, writeTensor } from "../ggml/storage.ts";

/** A matrix, or some of its rows, as a file stores it. */
export type StoredRows = {
  /** ggml.h, enum ggml_type */
  readonly type: number;
  /** Values in a row. */
  readonly inputs: number;
  readonly rows: number;
  readonly data: Uint8Array;
};

/** What is added to those rows: scale · B A. */
export type LowRank = {
  readonly rank: number;
  /** Row-major [rank, inputs]. */
  readonly a: Float32Array;
  /** Row-major [rows, rank]. */
  readonly b: Float32Array;
  readonly scale: number;
};

/**
 * W, or W + scale · B A, row-major [rows, inputs].
 * @throws CodedError `out_of_memory`, `native_failed`
 */
export function denseRows(device: Device, stored: StoredRows, added?: LowRank): Float32Array {
  const { type, inputs, rows, data } = stored;
  using storage = new Storage(device, 1);
  const w = storage.add(type, [inputs, rows]);
  storage.allocate();
  writeTensor(device, w, data);
  using graph = new Graph(device, 16);
  using space = new WorkSpace(device);
  const { operators } = graph;
  const indices = graph.input(GGML_TYPE.i32, [rows]);
  const rank = added?.rank ?? 1;
  const a = graph.input(GGML_TYPE.f32, [inputs, rank]);
  const b = graph.input(GGML_TYPE.f32, [rank, rows]);
  const out = graph.input(GGML_TYPE.f32, [inputs, rows]);
  graph.seal();
  // GET_ROWS dequantises every type on every backend.
  const dense = operators.getRows(w, indices);
  const product = operators.outProd(a, operators.transpose(b));
  const sum =
    added === undefined ? dense : operators.add(dense, operators.scale(product, added.scale));
  graph.expand(operators.copyInto(sum, out));
  graph.place(space);
  writeTensor(
    device,
    indices,
    Int32Array.from({ length: rows }, (_, i) => i),
  );
  if (added !== undefined) {
    writeTensor(device, a, added.a);
    writeTensor(device, b, added.b);
  }
  graph.run(0);
  return readFloats(device, out);
}
