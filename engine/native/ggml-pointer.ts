/**
 * The pointers that libggml hands out, told apart by type, and how a function of it is bound.
 */
import type { LibraryHandle, TypeObject } from "koffi";
import type { NativeFunction } from "./library.ts";

/** `struct ggml_context *`: holds tensors' and graphs' descriptions. */
export type ContextPointer = bigint & { readonly pointee?: "ggml_context" };
/** `struct ggml_tensor *` */
export type TensorPointer = bigint & { readonly pointee?: "ggml_tensor" };
/** `struct ggml_cgraph *` */
export type GraphPointer = bigint & { readonly pointee?: "ggml_cgraph" };
/** `ggml_backend_t` */
export type BackendPointer = bigint & { readonly pointee?: "ggml_backend" };
/** `ggml_backend_dev_t` */
export type DevicePointer = bigint & { readonly pointee?: "ggml_backend_device" };
/** `ggml_backend_buffer_t` */
export type BufferPointer = bigint & { readonly pointee?: "ggml_backend_buffer" };
/** `ggml_backend_buffer_type_t` */
export type BufferTypePointer = bigint & { readonly pointee?: "ggml_backend_buffer_type" };
/** `ggml_gallocr_t` */
export type GraphAllocatorPointer = bigint & { readonly pointee?: "ggml_gallocr" };

/** koffi's name of any pointer. */
export const P = "void *";
export const I64 = "int64_t";
export const SIZE = "size_t";

type CType = string | TypeObject;

/** Binds one function of `lib`; the caller states what it takes and gives. */
export function bind<Args extends unknown[], Result>(
  lib: LibraryHandle,
  name: string,
  result: CType,
  parameters: CType[],
): NativeFunction<Args, Result> {
  return lib.func(name, result, parameters);
}
