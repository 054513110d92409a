/**
 * Writes GGUF files: metadata laid out by ggml's gguf_* functions, tensor data streamed behind it.
 * Every claim is checked here, since ggml aborts on a bad one; it knows no key's or tensor's meaning.
 */
import { createHash } from "node:crypto";
import type { LibraryHandle } from "koffi";
import { writeChunksAtomic } from "../base/atomic-file.ts";
import { CodedError } from "../base/errors.ts";
import { bindGgml, type Ggml } from "./ggml.ts";
import { GGUF_TYPE, type GgufFile, type GgufType } from "./gguf.ts";
import type { NativeFunction, NativeLibraries } from "./library.ts";

/** What each metadata type takes. */
type Scalars = Record<Exclude<GgufType, "str" | "bool" | "u64" | "i64">, number> & {
  readonly str: string;
  readonly bool: boolean;
  readonly u64: bigint;
  readonly i64: bigint;
};

/** A tensor to write. */
export type TensorToWrite = {
  /** Unique, at most 63 bytes. */
  readonly name: string;
  /** ggml.h, enum ggml_type */
  readonly type: number;
  /** ggml's order (row length first), 1 to 4 dimensions; the row a multiple of the type's block. */
  readonly ne: readonly number[];
  /** Gives the bytes when they are written, so that no more than one tensor need be in memory. */
  readonly data: () => Uint8Array;
};

/** gguf.h, GGUF_DEFAULT_ALIGNMENT */
const ALIGNMENT = 32;
const NO_CONTEXT = "No memory is left to describe a tensor. Close other programs and try again.";
/** ggml.h, GGML_MAX_NAME, which counts the final zero */
const MAX_NAME_BYTES = 63;

/** Collects metadata and tensors, then writes them in one pass. */
export class GgufWriter implements Disposable {
  readonly #ggml: Ggml;
  readonly #native: WriterFunctions;
  readonly #context: bigint;
  readonly #tensors: TensorToWrite[] = [];
  #disposed = false;

  constructor(libraries: NativeLibraries) {
    this.#ggml = bindGgml(libraries);
    this.#native = bindWriter(libraries.base);
    this.#context = this.#native.initEmpty();
  }

  /** Takes over every key of another file; keys set later replace them. */
  copyMetadata(from: GgufFile): this {
    this.#native.setKv(this.#context, from.context);
    // Offsets are laid out for the default alignment here, whatever the other file had.
    return this.removeKey("general.alignment");
  }

  /** Sets one value, replacing what `key` held. */
  set<T extends GgufType>(key: string, type: T, value: Scalars[T]): this {
    this.#assertKey(key);
    if (typeof value === "string") assertText(value);
    this.#native.setScalar[type](this.#context, key, value);
    return this;
  }

  /** Sets a list of texts. */
  setTexts(key: string, values: readonly string[]): this {
    this.#assertKey(key);
    values.forEach(assertText);
    this.#native.setArrayText(this.#context, key, [...values], values.length);
    return this;
  }

  /** Sets a list of 32-bit floats or integers; the array's own type says which. */
  setNumbers(key: string, values: Float32Array | Int32Array | Uint32Array): this {
    this.#assertKey(key);
    this.#native.setArrayData(this.#context, key, arrayType(values), values, values.length);
    return this;
  }

  removeKey(key: string): this {
    this.#native.removeKey(this.#context, key);
    return this;
  }

  /** Adds a tensor behind those added before. */
  addTensor(tensor: TensorToWrite): this {
    const bytes = tensorBytes(this.#ggml, tensor);
    if (this.#tensors.some((other) => other.name === tensor.name)) {
      throw new RangeError(`tensor ${tensor.name} was added already`);
    }
    const memory = this.#ggml.ggml_tensor_overhead();
    const context = this.#ggml.ggml_init({ mem_size: memory, mem_buffer: null, no_alloc: true });
    if (context === null) throw new CodedError(NO_CONTEXT, { code: "out_of_memory" });
    const [n0 = 1, n1 = 1, n2 = 1, n3 = 1] = tensor.ne;
    const native = this.#ggml.ggml_new_tensor_4d(context, tensor.type, n0, n1, n2, n3);
    this.#ggml.ggml_set_name(native, tensor.name);
    this.#native.addTensor(this.#context, native);
    this.#ggml.ggml_free(context);
    this.#tensors.push({ ...tensor, data: () => checkedData(tensor, bytes) });
    return this;
  }

  /**
   * Writes the whole file, or leaves what stood at `path`.
   * @returns sha256 of the file (hex) and its size
   * @throws CodedError `disk_full`
   */
  write(path: string): { sha256: string; bytes: number } {
    const hash = createHash("sha256");
    let bytes = 0;
    const seen = counted(this.#chunks(), (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    writeChunksAtomic(path, seen);
    return { sha256: hash.digest("hex"), bytes };
  }

  [Symbol.dispose](): void {
    if (!this.#disposed) this.#native.free(this.#context);
    this.#disposed = true;
  }

  *#chunks(): Generator<Uint8Array> {
    const metadata = new Uint8Array(Number(this.#native.getMetaSize(this.#context)));
    this.#native.getMetaData(this.#context, metadata);
    yield metadata;
    for (const tensor of this.#tensors) {
      const data = tensor.data();
      yield data;
      const rest = data.length % ALIGNMENT;
      if (rest > 0) yield new Uint8Array(ALIGNMENT - rest);
    }
  }

  #assertKey(key: string): void {
    if (key === "" || key === "general.alignment") {
      throw new RangeError(`a GGUF key must not be ${JSON.stringify(key)}`);
    }
    assertText(key);
  }
}

type Fn<Args extends unknown[], Result> = NativeFunction<Args, Result>;

/** gguf.h, the writing half. */
type WriterFunctions = {
  readonly initEmpty: Fn<[], bigint>;
  readonly free: Fn<[bigint], void>;
  readonly setKv: Fn<[bigint, bigint], void>;
  readonly removeKey: Fn<[bigint, string], number>;
  readonly setScalar: Readonly<
    Record<GgufType, Fn<[bigint, string, number | bigint | boolean | string], void>>
  >;
  readonly setArrayText: Fn<[bigint, string, string[], number], void>;
  readonly setArrayData: Fn<[bigint, string, number, ArrayBufferView, number], void>;
  readonly addTensor: Fn<[bigint, bigint], void>;
  readonly getMetaSize: Fn<[bigint], number | bigint>;
  readonly getMetaData: Fn<[bigint, Uint8Array], void>;
};

function bindWriter(base: LibraryHandle): WriterFunctions {
  const scalar = (type: GgufType, c: string) =>
    base.func(`gguf_set_val_${type}`, "void", ["void *", "str", c]);
  return {
    initEmpty: base.func("gguf_init_empty", "void *", []),
    free: base.func("gguf_free", "void", ["void *"]),
    setKv: base.func("gguf_set_kv", "void", ["void *", "void *"]),
    removeKey: base.func("gguf_remove_key", "int64_t", ["void *", "str"]),
    setScalar: {
      u8: scalar("u8", "uint8_t"),
      i8: scalar("i8", "int8_t"),
      u16: scalar("u16", "uint16_t"),
      i16: scalar("i16", "int16_t"),
      u32: scalar("u32", "uint32_t"),
      i32: scalar("i32", "int32_t"),
      f32: scalar("f32", "float"),
      u64: scalar("u64", "uint64_t"),
      i64: scalar("i64", "int64_t"),
      f64: scalar("f64", "double"),
      bool: scalar("bool", "bool"),
      str: scalar("str", "str"),
    },
    setArrayText: base.func("gguf_set_arr_str", "void", ["void *", "str", "str *", "size_t"]),
    setArrayData: base.func("gguf_set_arr_data", "void", [
      "void *",
      "str",
      "int",
      "void *",
      "size_t",
    ]),
    addTensor: base.func("gguf_add_tensor", "void", ["void *", "void *"]),
    getMetaSize: base.func("gguf_get_meta_size", "size_t", ["void *"]),
    getMetaData: base.func("gguf_get_meta_data", "void", ["void *", "void *"]),
  };
}

/** The tensor's size, after checking all that ggml would abort on. */
function tensorBytes(ggml: Ggml, { name, type, ne }: TensorToWrite): number {
  assertText(name);
  const nameBytes = Buffer.byteLength(name);
  if (nameBytes === 0 || nameBytes > MAX_NAME_BYTES) {
    throw new RangeError(
      `tensor name must be 1 to ${MAX_NAME_BYTES} bytes, got ${nameBytes}: ${name}`,
    );
  }
  const countable = ne.every((count) => Number.isSafeInteger(count) && count > 0);
  if (ne.length < 1 || ne.length > 4 || !countable) {
    throw new RangeError(`tensor ${name} needs 1 to 4 positive dimensions, got [${ne.join(", ")}]`);
  }
  const [row = 0, ...rest] = ne;
  const block = Number(ggml.ggml_blck_size(type));
  if (block === 0 || row % block !== 0) {
    throw new RangeError(`tensor ${name}: rows of ${row} do not divide into blocks of ${block}`);
  }
  return rest.reduce((bytes, count) => bytes * count, Number(ggml.ggml_row_size(type, row)));
}

function checkedData(tensor: TensorToWrite, bytes: number): Uint8Array {
  const data = tensor.data();
  if (data.length === bytes) return data;
  throw new RangeError(`tensor ${tensor.name} needs ${bytes} bytes, got ${data.length}`);
}

function arrayType(values: Float32Array | Int32Array | Uint32Array): number {
  if (values instanceof Float32Array) return GGUF_TYPE.f32;
  return values instanceof Int32Array ? GGUF_TYPE.i32 : GGUF_TYPE.u32;
}

/** C strings end at the first zero: such a text would be cut silently. */
function assertText(text: string): void {
  if (text.includes("\0")) throw new RangeError("a text in GGUF metadata must not hold a zero");
}

function* counted(
  chunks: Iterable<Uint8Array>,
  seen: (chunk: Uint8Array) => void,
): Generator<Uint8Array> {
  for (const chunk of chunks) {
    seen(chunk);
    yield chunk;
  }
}
