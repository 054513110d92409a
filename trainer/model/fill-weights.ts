/**
 * Brings stored weights to the device: as they are, as F32 values, and transposed for the backward pass; in parts,
 * so that no matrix is held twice. It knows no layers.
 */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import type { GgufTensor } from "#engine/native/gguf.ts";
import type { Device } from "../ggml/device.ts";
import { Graph, WorkSpace } from "../ggml/graph.ts";
import { Storage, writeTensor } from "../ggml/storage.ts";
import type { Tensor } from "../ggml/tensor.ts";

/** Where weights come from: a GGUF file, or sizes alone where nothing is read. */
export type WeightSource = {
  tensor(name: string): GgufTensor | undefined;
  /** Fills `part` with the tensor's bytes from `start` on. */
  readTensorPart(tensor: GgufTensor, start: number, part: Uint8Array): void;
};

const STAGING_BYTES = 2 ** 22;
/** F32 values of a matrix that are held at once while they are converted. */
const CONVERTED_BYTES = 2 ** 24;

/** Fills tensors from one source. */
export class WeightFiller {
  readonly #device: Device;
  readonly #source: WeightSource;
  readonly #staging = new Uint8Array(STAGING_BYTES);

  constructor(device: Device, source: WeightSource) {
    this.#device = device;
    this.#source = source;
  }

  /** The bytes as they are stored, into a tensor of the same type and sizes. */
  fillStored(stored: GgufTensor, to: Tensor): void {
    for (let start = 0; start < stored.bytes; start += STAGING_BYTES) {
      const part = this.#staging.subarray(0, Math.min(STAGING_BYTES, stored.bytes - start));
      this.#source.readTensorPart(stored, start, part);
      writeTensor(this.#device, to, part, start);
    }
  }

  /** The values, into a float tensor of the same sizes. */
  fillValues(stored: GgufTensor, to: Tensor): void {
    if (stored.type === to.type) {
      this.fillStored(stored, to);
      return;
    }
    using staging = new Storage(this.#device, 1);
    const held = staging.add(stored.type, stored.ne);
    staging.allocate();
    this.fillStored(stored, held);
    this.convert(held, to, undefined);
  }

  /** Values of a tensor on the device into others there, as they are and transposed, there from a column on. */
  convert(
    from: Tensor,
    to: Tensor | undefined,
    transposed: Tensor | undefined,
    firstColumn = 0,
  ): void {
    const [nIn, nOut] = from.ne;
    const rows = Math.max(32, Math.floor(CONVERTED_BYTES / 4 / nIn / 32) * 32);
    for (let start = 0; start < nOut; start += rows) {
      const count = Math.min(rows, nOut - start);
      this.#withRows(from, start, count, (graph, values) => {
        const { operators } = graph;
        if (to !== undefined) {
          graph.expand(operators.copyInto(values, operators.slice(to, 1, start, count)));
        }
        if (transposed !== undefined) {
          const place = operators.slice(transposed, 0, firstColumn + start, count);
          graph.expand(operators.copyInto(operators.transpose(values), place));
        }
      });
    }
  }

  /** Runs a little graph on F32 values of some rows; GET_ROWS dequantises on every backend. */
  #withRows(
    from: Tensor,
    start: number,
    count: number,
    build: (graph: Graph, values: Tensor) => void,
  ): void {
    using graph = new Graph(this.#device, 16);
    using space = new WorkSpace(this.#device);
    const rows = graph.input(GGML_TYPE.i32, [count]);
    graph.seal();
    build(graph, graph.operators.getRows(from, rows));
    graph.place(space);
    writeTensor(
      this.#device,
      rows,
      Int32Array.from({ length: count }, (_, i) => start + i),
    );
    graph.run(0);
  }
}
