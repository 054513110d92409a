/**
 * A static graph: inputs with memory of their own, nodes whose memory comes from a shared work space, run in
 * slices so that values can be read and written in between. It knows nothing of what is computed.
 */
import { CodedError } from "#engine/base/errors.ts";
import type {
  ContextPointer,
  GraphAllocatorPointer,
  GraphPointer,
  TensorPointer,
} from "#engine/native/ggml-pointer.ts";
import type { Device } from "./device.ts";
import { type Operators, openOperators } from "./operators.ts";
import { openContext, Storage } from "./storage.ts";
import { contiguousStrides, four, type Tensor } from "./tensor.ts";

const INPUT_CAPACITY = 64;

/**
 * Memory for graphs' intermediate values, as large as the largest graph's; graphs that ran in it before it
 * grew are void (their addresses are gone), which `generation` tells.
 */
export class WorkSpace implements Disposable {
  readonly #device: Device;
  readonly #allocator: GraphAllocatorPointer;
  #bytes = 0;
  #open = true;
  /** Counts how often the memory moved. */
  generation = 0;

  constructor(device: Device) {
    this.#device = device;
    this.#allocator = openAllocator(device);
  }

  /** Bytes of memory held, or that a dry device would hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Gives a graph's nodes their addresses, once. @throws CodedError `out_of_memory` */
  place(graph: GraphPointer): void {
    const { ggml, isDry } = this.#device;
    if (isDry) {
      this.#bytes = Math.max(this.#bytes, measureGraph(this.#device, graph));
      return;
    }
    if (!ggml.ggml_gallocr_alloc_graph(this.#allocator, graph)) throw outOfMemory(this.#device);
    const bytes = Number(ggml.ggml_gallocr_get_buffer_size(this.#allocator, 0));
    if (bytes !== this.#bytes) this.generation++;
    this.#bytes = bytes;
  }

  [Symbol.dispose](): void {
    if (this.#open) this.#device.ggml.ggml_gallocr_free(this.#allocator);
    this.#open = false;
  }
}

/** What one node of a graph took. */
export type NodeTime = {
  /** ggml's name of it, such as `MUL_MAT`. */
  readonly operator: string;
  readonly node: TensorPointer;
  readonly ms: number;
};

/** One graph: declare inputs, `seal` them, build by `operators` and `expand`, cut slices, then place and run. */
export class Graph implements Disposable {
  /** What builds nodes. */
  readonly operators: Operators;
  readonly #device: Device;
  readonly #context: ContextPointer;
  readonly #whole: GraphPointer;
  readonly #inputs: Storage;
  readonly #maxNodes: number;
  readonly #cuts: number[] = [];
  #slices: GraphPointer[] = [];
  #generation = -1;
  #open = true;

  /** @param maxNodes an upper bound of the nodes */
  constructor(device: Device, maxNodes: number) {
    const { ggml } = device;
    const graphs = 5 * Number(ggml.ggml_graph_overhead_custom(maxNodes, false));
    // Views and views of views are nodes too; inputs stand in a context of their own.
    const bytes = graphs + 2 * maxNodes * Number(ggml.ggml_tensor_overhead());
    this.#device = device;
    this.#maxNodes = maxNodes;
    this.#context = openContext(ggml, bytes);
    this.#whole = ggml.ggml_new_graph_custom(this.#context, maxNodes, false);
    this.#inputs = new Storage(device, INPUT_CAPACITY);
    this.operators = openOperators(ggml, this.#context);
  }

  /** Declares an input, which keeps its value from run to run. */
  input(type: number, ne: readonly number[]): Tensor {
    return this.#inputs.add(type, ne);
  }

  /**
   * Declares a tensor in the work space that is held from the graph's beginning to its last use, below all nodes:
   * long-lived values among short-lived ones would leave gaps that nothing fits. It begins with anything.
   */
  hold(type: number, ne: readonly number[]): Tensor {
    const { ggml } = this.#device;
    const sizes = four(ne);
    const pointer = ggml.ggml_new_tensor_4d(this.#context, type, ...sizes);
    return { pointer, type, ne: sizes, nb: contiguousStrides(ggml, type, sizes) };
  }

  /** Gives the inputs memory; before any node is built. */
  seal(): void {
    this.#inputs.allocate();
  }

  /** Adds a node, and those it needs, at the end of the order of computation. */
  expand(...nodes: readonly Tensor[]): void {
    const { ggml } = this.#device;
    for (const node of nodes) ggml.ggml_build_forward_expand(this.#whole, node.pointer);
    if (this.nodes > this.#maxNodes) throw new Error(`more than ${this.#maxNodes} nodes`);
  }

  /** Ends a slice: what is expanded later belongs to the next. */
  cut(): void {
    this.#cuts.push(this.nodes);
  }

  /** How many nodes there are so far. */
  get nodes(): number {
    return this.#device.ggml.ggml_graph_n_nodes(this.#whole);
  }

  /**
   * Gives the nodes memory in `space`, and makes the slices.
   * @throws CodedError `native_failed` where the device lacks an operator, `out_of_memory`
   */
  place(space: WorkSpace): void {
    const { ggml } = this.#device;
    this.#checkSupport();
    space.place(this.#whole);
    this.#generation = space.generation;
    const total = this.nodes;
    const starts = [0, ...this.#cuts];
    this.#slices = starts.map((start, index) => {
      const end = starts[index + 1] ?? total;
      const slice = ggml.ggml_new_graph_custom(this.#context, Math.max(end - start, 1), false);
      for (let i = start; i < end; i++) {
        ggml.ggml_graph_add_node(slice, ggml.ggml_graph_node(this.#whole, i));
      }
      return slice;
    });
  }

  /** Bytes that the nodes' values will take in a work space; before they have a place there. */
  measure(): number {
    return measureGraph(this.#device, this.#whole);
  }

  /** Bytes of the inputs. */
  get inputBytes(): number {
    return this.#inputs.bytes;
  }

  /** The name of the operator and the pointer of every node, in the order of computation. */
  describeNodes(): { readonly operator: string; readonly node: TensorPointer }[] {
    const { ggml } = this.#device;
    return Array.from({ length: this.nodes }, (_, i) => {
      const node = ggml.ggml_graph_node(this.#whole, i);
      return { operator: ggml.ggml_op_desc(node), node };
    });
  }

  /** A GPU backend aborts on a node that it has no kernel for, so ask before. */
  #checkSupport(): void {
    const { ggml, isCpu, isPretended, name, backend } = this.#device;
    if (isCpu || isPretended) return;
    for (let i = 0; i < this.nodes; i++) {
      const node = ggml.ggml_graph_node(this.#whole, i);
      if (ggml.ggml_backend_supports_op(backend, node)) continue;
      throw new CodedError(
        `The ${name} device does not support ${ggml.ggml_op_desc(node)}, which training needs. Set GPU=cpu.`,
        { code: "native_failed" },
      );
    }
  }

  /** Whether the addresses of the last `place` still stand. */
  isPlacedIn(space: WorkSpace): boolean {
    return this.#generation === space.generation;
  }

  /** Computes one short slice, while the event loop waits; slices are run in their order. */
  run(slice: number): void {
    this.#device.compute(this.#slice(slice));
  }

  /** Computes one slice beside the event loop. @param signal see `Device.computeAside` */
  runAside(slice: number, signal?: AbortSignal): Promise<void> {
    return this.#device.computeAside(this.#slice(slice), signal);
  }

  /** Computes one slice a node at a time: what each took, in the order of computation. For measuring only. */
  runTimed(slice: number, nowMs: () => number): NodeTime[] {
    const { ggml } = this.#device;
    const from = slice === 0 ? 0 : (this.#cuts[slice - 1] ?? this.nodes);
    const to = this.#cuts[slice] ?? this.nodes;
    const single = ggml.ggml_new_graph_custom(this.#context, 1, false);
    return Array.from({ length: to - from }, (_, i) => {
      const node = ggml.ggml_graph_node(this.#whole, from + i);
      ggml.ggml_graph_clear(single);
      ggml.ggml_graph_add_node(single, node);
      const start = nowMs();
      this.#device.compute(single);
      return { operator: ggml.ggml_op_desc(node), node, ms: nowMs() - start };
    });
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#inputs[Symbol.dispose]();
    this.#device.ggml.ggml_free(this.#context);
  }

  #slice(index: number): GraphPointer {
    const graph = this.#slices[index];
    if (graph === undefined) throw new RangeError(`there is no slice ${index}`);
    return graph;
  }
}

function openAllocator(device: Device): GraphAllocatorPointer {
  const allocator = device.ggml.ggml_gallocr_new(device.bufferType);
  if (allocator === null) throw outOfMemory(device);
  return allocator;
}

/** By an allocator of its own: measuring frees what an allocator holds. */
function measureGraph(device: Device, graph: GraphPointer): number {
  const allocator = openAllocator(device);
  const sizes = new BigUint64Array(1);
  device.ggml.ggml_gallocr_reserve_n_size(allocator, graph, null, null, sizes);
  device.ggml.ggml_gallocr_free(allocator);
  return Number(sizes[0]);
}

function outOfMemory(device: Device): CodedError {
  return new CodedError(
    `The ${device.name} device has no memory left for the training step. Use less tokens in a batch.`,
    { code: "out_of_memory" },
  );
}
