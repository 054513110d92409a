/**
 * libggml's functions under their own names: types, tensors, operators, graphs, allocators, backends,
 * quantisation (ggml.h, ggml-alloc.h, ggml-backend.h of the pinned release). Nothing is checked here: a wrong
 * shape makes ggml abort the process, so callers go through trainer/ggml or check by themselves.
 */
import koffi, { type LibraryHandle } from "koffi";
import { bindOperators } from "./ggml-operators.ts";
import {
  type BackendPointer,
  type BufferPointer,
  type BufferTypePointer,
  bind,
  type ContextPointer,
  type DevicePointer,
  type GraphAllocatorPointer,
  type GraphPointer,
  I64,
  P,
  SIZE,
  type TensorPointer,
} from "./ggml-pointer.ts";
import type { NativeLibraries } from "./library.ts";

/** enum ggml_type, those that the project reads or writes. */
export const GGML_TYPE = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q5_0: 6,
  q8_0: 8,
  q2_K: 10,
  q3_K: 11,
  q4_K: 12,
  q5_K: 13,
  q6_K: 14,
  i32: 26,
  bf16: 30,
} as const;

/** enum ggml_status: what a computation returns when all went well, and when it was stopped. */
export const GGML_STATUS_SUCCESS = 0;
export const GGML_STATUS_ABORTED = 1;
/** enum ggml_backend_dev_type */
export const GGML_BACKEND_DEVICE_TYPE = { cpu: 0, gpu: 1, igpu: 2 } as const;

type Context = ContextPointer;
type Tensor = TensorPointer;
/** Memory that native code reads or writes during the call only. */
type Bytes = ArrayBufferView;
/** A C string or null. */
type Text = string | null;
/** All of libggml that the project calls; see ggml.h for what each function means. */
export type Ggml = ReturnType<typeof bindAll>;

const bound = new WeakMap<LibraryHandle, Ggml>();

/** Binds libggml's functions of the given libraries, once for each library. */
export function bindGgml({ base, ggml }: NativeLibraries): Ggml {
  const known = bound.get(base);
  if (known !== undefined) return known;
  const functions = bindAll(base, ggml);
  bound.set(base, functions);
  return functions;
}

function bindAll(base: LibraryHandle, ggml: LibraryHandle) {
  return {
    ...bindTypes(base),
    ...bindContexts(base),
    ...bindOperators(base),
    ...bindGraphs(base),
    ...bindBuffers(base),
    ...bindBackends(base, ggml),
  };
}

function bindTypes(lib: LibraryHandle) {
  const quantize = ["int", P, P, I64, I64, I64, P];
  return {
    ggml_blck_size: bind<[type: number], number>(lib, "ggml_blck_size", I64, ["int"]),
    ggml_type_size: bind<[type: number], number>(lib, "ggml_type_size", SIZE, ["int"]),
    ggml_row_size: bind<[type: number, ne: number], number>(lib, "ggml_row_size", SIZE, [
      "int",
      I64,
    ]),
    ggml_type_name: bind<[type: number], Text>(lib, "ggml_type_name", "str", ["int"]),
    /** Quantises `rows` rows of `perRow` floats from row-major `src`; returns the bytes written. */
    ggml_quantize_chunk: bind<
      [
        type: number,
        src: Float32Array,
        dst: Bytes,
        start: number,
        rows: number,
        perRow: number,
        imatrix: null,
      ],
      number
    >(lib, "ggml_quantize_chunk", SIZE, quantize),
  };
}

function bindContexts(lib: LibraryHandle) {
  const parameters = koffi.struct({ mem_size: SIZE, mem_buffer: P, no_alloc: "bool" });
  type Parameters = { mem_size: number; mem_buffer: null; no_alloc: boolean };
  const shape = (n: number) => [P, "int", ...Array<string>(n).fill(I64)];
  return {
    ggml_init: bind<[Parameters], Context | null>(lib, "ggml_init", P, [parameters]),
    ggml_free: bind<[Context], void>(lib, "ggml_free", "void", [P]),
    ggml_tensor_overhead: bind<[], number>(lib, "ggml_tensor_overhead", SIZE, []),
    ggml_new_tensor_4d: bind<[Context, number, number, number, number, number], Tensor>(
      lib,
      "ggml_new_tensor_4d",
      P,
      shape(4),
    ),
    ggml_set_name: bind<[Tensor, string], Tensor>(lib, "ggml_set_name", P, [P, "str"]),
    /** The name of the operator that makes the tensor. */
    ggml_op_desc: bind<[Tensor], string>(lib, "ggml_op_desc", "str", [P]),
    ggml_nbytes: bind<[Tensor], number>(lib, "ggml_nbytes", SIZE, [P]),
    ggml_set_param: bind<[Tensor], void>(lib, "ggml_set_param", "void", [P]),
    /** Whether a size is 0. */
    ggml_is_empty: bind<[Tensor], boolean>(lib, "ggml_is_empty", "bool", [P]),
    /** The address of that function, where ggml wants a `bool (*)(void *)`. */
    ggml_is_empty_address: koffi.address(lib.symbol("ggml_is_empty")),
  };
}

function bindGraphs(lib: LibraryHandle) {
  type Allocator = GraphAllocatorPointer;
  return {
    ggml_new_graph_custom: bind<[Context, size: number, grads: boolean], GraphPointer>(
      lib,
      "ggml_new_graph_custom",
      P,
      [P, SIZE, "bool"],
    ),
    ggml_graph_overhead_custom: bind<[size: number, grads: boolean], number>(
      lib,
      "ggml_graph_overhead_custom",
      SIZE,
      [SIZE, "bool"],
    ),
    ggml_build_forward_expand: bind<[GraphPointer, Tensor], void>(
      lib,
      "ggml_build_forward_expand",
      "void",
      [P, P],
    ),
    ggml_graph_clear: bind<[GraphPointer], void>(lib, "ggml_graph_clear", "void", [P]),
    ggml_graph_node: bind<[GraphPointer, index: number], Tensor>(lib, "ggml_graph_node", P, [
      P,
      "int",
    ]),
    ggml_graph_add_node: bind<[GraphPointer, Tensor], void>(lib, "ggml_graph_add_node", "void", [
      P,
      P,
    ]),
    ggml_graph_n_nodes: bind<[GraphPointer], number>(lib, "ggml_graph_n_nodes", "int", [P]),
    ggml_gallocr_new: bind<[BufferTypePointer], Allocator | null>(lib, "ggml_gallocr_new", P, [P]),
    ggml_gallocr_free: bind<[Allocator], void>(lib, "ggml_gallocr_free", "void", [P]),
    ggml_gallocr_alloc_graph: bind<[Allocator, GraphPointer], boolean>(
      lib,
      "ggml_gallocr_alloc_graph",
      "bool",
      [P, P],
    ),
    /** Writes what `ggml_gallocr_alloc_graph` would allocate, and frees what is allocated. */
    ggml_gallocr_reserve_n_size: bind<
      [Allocator, GraphPointer, null, null, sizes: BigUint64Array],
      void
    >(lib, "ggml_gallocr_reserve_n_size", "void", [P, P, P, P, P]),
    ggml_gallocr_get_buffer_size: bind<[Allocator, id: number], number>(
      lib,
      "ggml_gallocr_get_buffer_size",
      SIZE,
      [P, "int"],
    ),
  };
}

function bindBuffers(lib: LibraryHandle) {
  type Transfer = [Tensor, Bytes, offset: number, bytes: number];
  return {
    ggml_backend_alloc_ctx_tensors: bind<[Context, BackendPointer], BufferPointer | null>(
      lib,
      "ggml_backend_alloc_ctx_tensors",
      P,
      [P, P],
    ),
    /** What `ggml_backend_alloc_ctx_tensors` would allocate. */
    ggml_backend_alloc_ctx_tensors_from_buft_size: bind<[Context, BufferTypePointer], number>(
      lib,
      "ggml_backend_alloc_ctx_tensors_from_buft_size",
      SIZE,
      [P, P],
    ),
    /** A buffer at an address that is not its own; nothing is read, written or freed there by itself. */
    ggml_backend_cpu_buffer_from_ptr: bind<[address: bigint, bytes: number], BufferPointer>(
      lib,
      "ggml_backend_cpu_buffer_from_ptr",
      P,
      [P, SIZE],
    ),
    ggml_backend_tensor_alloc: bind<[BufferPointer, Tensor, address: bigint], number>(
      lib,
      "ggml_backend_tensor_alloc",
      "int",
      [P, P, P],
    ),
    ggml_backend_buffer_free: bind<[BufferPointer], void>(lib, "ggml_backend_buffer_free", "void", [
      P,
    ]),
    ggml_backend_buffer_get_size: bind<[BufferPointer], number>(
      lib,
      "ggml_backend_buffer_get_size",
      SIZE,
      [P],
    ),
    ggml_backend_buffer_clear: bind<[BufferPointer, value: number], void>(
      lib,
      "ggml_backend_buffer_clear",
      "void",
      [P, "uint8_t"],
    ),
    ggml_backend_tensor_set: bind<Transfer, void>(lib, "ggml_backend_tensor_set", "void", [
      P,
      P,
      SIZE,
      SIZE,
    ]),
    ggml_backend_tensor_get: bind<Transfer, void>(lib, "ggml_backend_tensor_get", "void", [
      P,
      P,
      SIZE,
      SIZE,
    ]),
  };
}

function bindBackends(base: LibraryHandle, ggml: LibraryHandle) {
  type Device = DevicePointer;
  return {
    ggml_backend_dev_count: bind<[], number>(ggml, "ggml_backend_dev_count", SIZE, []),
    ggml_backend_dev_get: bind<[index: number], Device>(ggml, "ggml_backend_dev_get", P, [SIZE]),
    ggml_backend_dev_type: bind<[Device], number>(base, "ggml_backend_dev_type", "int", [P]),
    ggml_backend_dev_name: bind<[Device], string>(base, "ggml_backend_dev_name", "str", [P]),
    ggml_backend_dev_description: bind<[Device], string>(
      base,
      "ggml_backend_dev_description",
      "str",
      [P],
    ),
    /** Writes free and total bytes; 0 where the device does not tell. */
    ggml_backend_dev_memory: bind<[Device, free: BigUint64Array, total: BigUint64Array], void>(
      base,
      "ggml_backend_dev_memory",
      "void",
      [P, P, P],
    ),
    ggml_backend_dev_backend_reg: bind<[Device], bigint>(base, "ggml_backend_dev_backend_reg", P, [
      P,
    ]),
    ggml_backend_dev_init: bind<[Device, Text], BackendPointer | null>(
      base,
      "ggml_backend_dev_init",
      P,
      [P, "str"],
    ),
    ggml_backend_free: bind<[BackendPointer], void>(base, "ggml_backend_free", "void", [P]),
    ggml_backend_get_default_buffer_type: bind<[BackendPointer], BufferTypePointer>(
      base,
      "ggml_backend_get_default_buffer_type",
      P,
      [P],
    ),
    ggml_backend_graph_compute: bind<[BackendPointer, GraphPointer], number>(
      base,
      "ggml_backend_graph_compute",
      "int",
      [P, P],
    ),
    ggml_backend_supports_op: bind<[BackendPointer, Tensor], boolean>(
      base,
      "ggml_backend_supports_op",
      "bool",
      [P, P],
    ),
    /** Found through the device's registry, since each backend brings its own (ggml-backend.h). */
    ggml_backend_set_n_threads: bindSetThreads(base),
    ggml_backend_set_abort_callback: bindSetAbortCallback(base),
  };
}

function bindRegistryLookUp(base: LibraryHandle) {
  return bind<[registry: bigint, name: string], bigint | null>(
    base,
    "ggml_backend_reg_get_proc_address",
    P,
    [P, "str"],
  );
}

function bindSetAbortCallback(base: LibraryHandle) {
  const lookUp = bindRegistryLookUp(base);
  const prototype = koffi.proto("void", [P, P, P]);
  /**
   * `callback` is the address of a native `bool (*)(void *)`, asked with `data` after each node, by a thread that may
   * not call JavaScript. Returns false where the device asks nothing (a GPU).
   */
  return (registry: bigint, backend: BackendPointer, callback: bigint, data: bigint): boolean => {
    const address = lookUp(registry, "ggml_backend_set_abort_callback");
    if (address === null) return false;
    koffi.call(address, prototype, backend, callback, data);
    return true;
  };
}

function bindSetThreads(base: LibraryHandle) {
  const lookUp = bindRegistryLookUp(base);
  const prototype = koffi.proto("void", [P, "int"]);
  /** Returns false where the device takes no thread count (a GPU). */
  return (registry: bigint, backend: BackendPointer, threads: number): boolean => {
    const address = lookUp(registry, "ggml_backend_set_n_threads");
    if (address === null) return false;
    koffi.call(address, prototype, backend, threads);
    return true;
  };
}
