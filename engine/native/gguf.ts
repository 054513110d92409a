/**
 * ggml's gguf_* functions and a reader that holds a GGUF file's metadata.
 * Bad files are refused before and after ggml parses them; it knows no key's or tensor's meaning.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import koffi, { type LibraryHandle } from "koffi";
import { CodedError, systemCode } from "../base/errors.ts";
import {
  type NativeFunction,
  type NativeLibraries,
  recentNativeLog,
  withNativeLog,
} from "./library.ts";

/** A native address: koffi's representation of `void *`. */
type Pointer = bigint | null;

/** gguf.h, enum gguf_type, without arrays. */
export const GGUF_TYPE = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  str: 8,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
const GGUF_TYPE_ARRAY = 9;

/** The name of a metadata value's type, as ggml prints it. */
export type GgufType = keyof typeof GGUF_TYPE;

/** A metadata value; 64-bit integers that a double cannot hold come as bigint. */
export type GgufValue = number | bigint | boolean | string;

/** Where a tensor's data stands and how it is shaped. */
export type GgufTensor = {
  readonly name: string;
  /** ggml.h, enum ggml_type */
  readonly type: number;
  /** Elements by dimension in ggml's order (the row length first), trailing ones dropped. */
  readonly ne: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
};

const TYPE_NAMES: ReadonlyMap<number, GgufType> = new Map([
  [GGUF_TYPE.u8, "u8"],
  [GGUF_TYPE.i8, "i8"],
  [GGUF_TYPE.u16, "u16"],
  [GGUF_TYPE.i16, "i16"],
  [GGUF_TYPE.u32, "u32"],
  [GGUF_TYPE.i32, "i32"],
  [GGUF_TYPE.f32, "f32"],
  [GGUF_TYPE.bool, "bool"],
  [GGUF_TYPE.str, "str"],
  [GGUF_TYPE.u64, "u64"],
  [GGUF_TYPE.i64, "i64"],
  [GGUF_TYPE.f64, "f64"],
]);
const MAGIC = "GGUF";
const HEADER_BYTES = 24;
const OLDEST_VERSION = 2;
const NEWEST_VERSION = 3;
/** Far above any real model (a 405B has about 1,100 tensors); keeps ggml's quadratic checks short. */
const MAX_ENTRIES = 16_384;
const MAX_DIMENSIONS = 4;

/** The C type of each numeric metadata type, by its code. */
const C_TYPES: ReadonlyMap<number, string> = new Map([
  [GGUF_TYPE.u8, "uint8_t"],
  [GGUF_TYPE.i8, "int8_t"],
  [GGUF_TYPE.u16, "uint16_t"],
  [GGUF_TYPE.i16, "int16_t"],
  [GGUF_TYPE.u32, "uint32_t"],
  [GGUF_TYPE.i32, "int32_t"],
  [GGUF_TYPE.f32, "float"],
  [GGUF_TYPE.u64, "uint64_t"],
  [GGUF_TYPE.i64, "int64_t"],
  [GGUF_TYPE.f64, "double"],
]);

/** A GGUF file's metadata, checked against the file's size. Tensor data is read on demand. */
export class GgufFile implements Disposable {
  readonly path: string;
  /** Metadata keys in the file's order. */
  readonly keys: readonly string[];
  /** Tensors in the file's order; all of their data lies within the file. */
  readonly tensors: readonly GgufTensor[];
  readonly #gguf: GgufFunctions;
  #context: Pointer;

  private constructor(path: string, fileBytes: number, gguf: GgufFunctions, context: bigint) {
    this.path = path;
    this.#gguf = gguf;
    this.#context = context;
    const keys = Number(gguf.getKeyCount(context));
    this.keys = Array.from({ length: keys }, (_, id) => gguf.getKey(context, id));
    this.tensors = readTensors(path, fileBytes, gguf, context);
  }

  /**
   * Opens a file and reads its metadata.
   * @throws CodedError `model_missing` when there is no such file, `model_invalid` when it is no GGUF,
   *   cut short, or makes claims that its size cannot hold
   */
  static open(path: string, libraries: NativeLibraries): GgufFile {
    const fileBytes = checkHeader(path);
    const gguf = bindGguf(libraries.base);
    const context = withNativeLog(libraries, () =>
      gguf.initFromFile(path, { no_alloc: true, ctx: null }),
    );
    if (context === null) {
      const detail = recentNativeLog().at(-1) ?? "no detail given";
      throw invalid(path, `ggml could not parse its metadata (${detail})`);
    }
    try {
      return new GgufFile(path, fileBytes, gguf, context);
    } catch (error) {
      gguf.free(context);
      throw error;
    }
  }

  /** The native context, for ggml functions that take one (such as copying all metadata). */
  get context(): bigint {
    if (this.#context === null) throw new Error(`${this.path} was closed already`);
    return this.#context;
  }

  /** The value of `key`, a list for arrays, undefined where the file has no such key. */
  value(key: string): GgufValue | readonly GgufValue[] | undefined {
    const id = Number(this.#gguf.findKey(this.context, key));
    if (id < 0) return undefined;
    const type = this.#gguf.getKeyType(this.context, id);
    return type === GGUF_TYPE_ARRAY ? this.#array(id) : this.#scalar(id, type);
  }

  /** The type of `key`'s value as the file states it, "array" for lists, undefined where there is none. */
  typeOf(key: string): GgufType | "array" | undefined {
    const id = Number(this.#gguf.findKey(this.context, key));
    if (id < 0) return undefined;
    const code = this.#gguf.getKeyType(this.context, id);
    return TYPE_NAMES.get(code) ?? "array";
  }

  /**
   * A number that must be there.
   * @throws CodedError `model_invalid`
   */
  number(key: string): number {
    const value = this.value(key);
    if (typeof value === "number") return value;
    throw invalid(this.path, `its key ${key} should hold a number, found ${describe(value)}`);
  }

  /** A number, or `otherwise` where the file has no such key. @throws CodedError `model_invalid` */
  numberOr(key: string, otherwise: number): number {
    return this.value(key) === undefined ? otherwise : this.number(key);
  }

  /** A text that must be there. @throws CodedError `model_invalid` */
  string(key: string): string {
    const value = this.value(key);
    if (typeof value === "string") return value;
    throw invalid(this.path, `its key ${key} should hold a text, found ${describe(value)}`);
  }

  /** The tensor of that name, undefined where there is none. */
  tensor(name: string): GgufTensor | undefined {
    return this.tensors.find((tensor) => tensor.name === name);
  }

  /**
   * A tensor's bytes as they stand in the file.
   * @throws CodedError `model_invalid` when the file became shorter since it was opened
   */
  readTensor(tensor: GgufTensor): Uint8Array {
    const data = new Uint8Array(tensor.bytes);
    this.readTensorPart(tensor, 0, data);
    return data;
  }

  /**
   * Fills `part` with a tensor's bytes from `start` on, for tensors that are too large to be held twice.
   * @throws CodedError `model_invalid` when the file has become shorter since it was opened
   */
  readTensorPart(tensor: GgufTensor, start: number, part: Uint8Array): void {
    const file = openSync(this.path, "r");
    try {
      for (let done = 0; done < part.length; ) {
        const from = tensor.offset + start + done;
        const read = readSync(file, part, done, part.length - done, from);
        if (read === 0) throw invalid(this.path, `it ends within the tensor ${tensor.name}`);
        done += read;
      }
    } finally {
      closeSync(file);
    }
  }

  [Symbol.dispose](): void {
    if (this.#context !== null) this.#gguf.free(this.#context);
    this.#context = null;
  }

  #scalar(id: number, type: number): GgufValue {
    if (type === GGUF_TYPE.str) return this.#gguf.getString(this.context, id);
    if (type === GGUF_TYPE.bool) return this.#gguf.getBoolean(this.context, id);
    return koffi.decode(this.#gguf.getData(this.context, id), cType(type));
  }

  #array(id: number): readonly GgufValue[] {
    const type = this.#gguf.getArrayType(this.context, id);
    const length = Number(this.#gguf.getArrayLength(this.context, id));
    if (length === 0) return [];
    if (type === GGUF_TYPE.str) {
      return Array.from({ length }, (_, i) => this.#gguf.getArrayString(this.context, id, i));
    }
    const data = this.#gguf.getArrayData(this.context, id);
    if (type !== GGUF_TYPE.bool) {
      return koffi.decode(data, koffi.array(cType(type), length, "Array"));
    }
    const bytes: number[] = koffi.decode(data, koffi.array("int8_t", length, "Array"));
    return bytes.map((byte) => byte !== 0);
  }
}

type Fn<Args extends unknown[], Result> = NativeFunction<Args, Result>;

/** gguf.h, the reading half; `id` counts keys or tensors from 0 and must be in range (ggml aborts). */
type GgufFunctions = {
  readonly initFromFile: Fn<[string, { no_alloc: boolean; ctx: null }], Pointer>;
  readonly free: Fn<[Pointer], void>;
  readonly getDataOffset: Fn<[Pointer], number | bigint>;
  readonly getKeyCount: Fn<[Pointer], number | bigint>;
  readonly findKey: Fn<[Pointer, string], number | bigint>;
  readonly getKey: Fn<[Pointer, number], string>;
  readonly getKeyType: Fn<[Pointer, number], number>;
  readonly getArrayType: Fn<[Pointer, number], number>;
  readonly getArrayLength: Fn<[Pointer, number], number | bigint>;
  readonly getArrayData: Fn<[Pointer, number], Pointer>;
  readonly getArrayString: Fn<[Pointer, number, number], string>;
  readonly getData: Fn<[Pointer, number], Pointer>;
  readonly getBoolean: Fn<[Pointer, number], boolean>;
  readonly getString: Fn<[Pointer, number], string>;
  readonly getTensorCount: Fn<[Pointer], number | bigint>;
  readonly getTensorName: Fn<[Pointer, number], string>;
  readonly getTensorNe: Fn<[Pointer, number], Pointer>;
  readonly getTensorType: Fn<[Pointer, number], number>;
  readonly getTensorOffset: Fn<[Pointer, number], number | bigint>;
  readonly getTensorSize: Fn<[Pointer, number], number | bigint>;
};

const bound = new WeakMap<LibraryHandle, GgufFunctions>();

/** Binds gguf_*; once for each library. */
function bindGguf(base: LibraryHandle): GgufFunctions {
  const known = bound.get(base);
  if (known !== undefined) return known;
  const params = koffi.struct({ no_alloc: "bool", ctx: "void *" });
  const byId = ["void *", "int64_t"];
  const functions: GgufFunctions = {
    initFromFile: base.func("gguf_init_from_file", "void *", ["str", params]),
    free: base.func("gguf_free", "void", ["void *"]),
    getDataOffset: base.func("gguf_get_data_offset", "size_t", ["void *"]),
    getKeyCount: base.func("gguf_get_n_kv", "int64_t", ["void *"]),
    findKey: base.func("gguf_find_key", "int64_t", ["void *", "str"]),
    getKey: base.func("gguf_get_key", "str", byId),
    getKeyType: base.func("gguf_get_kv_type", "int", byId),
    getArrayType: base.func("gguf_get_arr_type", "int", byId),
    getArrayLength: base.func("gguf_get_arr_n", "size_t", byId),
    getArrayData: base.func("gguf_get_arr_data", "void *", byId),
    getArrayString: base.func("gguf_get_arr_str", "str", [...byId, "size_t"]),
    getData: base.func("gguf_get_val_data", "void *", byId),
    getBoolean: base.func("gguf_get_val_bool", "bool", byId),
    getString: base.func("gguf_get_val_str", "str", byId),
    getTensorCount: base.func("gguf_get_n_tensors", "int64_t", ["void *"]),
    getTensorName: base.func("gguf_get_tensor_name", "str", byId),
    getTensorNe: base.func("gguf_get_tensor_ne", "void *", byId),
    getTensorType: base.func("gguf_get_tensor_type", "int", byId),
    getTensorOffset: base.func("gguf_get_tensor_offset", "size_t", byId),
    getTensorSize: base.func("gguf_get_tensor_size", "size_t", byId),
  };
  bound.set(base, functions);
  return functions;
}

function readTensors(
  path: string,
  fileBytes: number,
  gguf: GgufFunctions,
  context: bigint,
): readonly GgufTensor[] {
  const start = Number(gguf.getDataOffset(context));
  return Array.from({ length: Number(gguf.getTensorCount(context)) }, (_, id) => {
    const name = gguf.getTensorName(context, id);
    const shape = koffi.array("int64_t", MAX_DIMENSIONS, "Array");
    const ne: (number | bigint)[] = koffi.decode(gguf.getTensorNe(context, id), shape);
    const offset = start + Number(gguf.getTensorOffset(context, id));
    const bytes = Number(gguf.getTensorSize(context, id));
    if (bytes === 0) throw invalid(path, `its tensor ${name} is empty`);
    if (offset + bytes > fileBytes) {
      throw invalid(
        path,
        `it ends at ${fileBytes} bytes, within the tensor ${name}: it is cut short`,
      );
    }
    const type = gguf.getTensorType(context, id);
    return { name, type, ne: trimShape(ne.map(Number)), offset, bytes };
  });
}

function trimShape(ne: readonly number[]): readonly number[] {
  const used = ne.findLastIndex((count) => count !== 1) + 1;
  return ne.slice(0, Math.max(used, 1));
}

/** Checks what is cheap before ggml parses the file; returns the file's size in bytes. */
function checkHeader(path: string): number {
  const { header, bytes } = readHeader(path);
  const magic = header.toString("latin1", 0, MAGIC.length);
  if (magic !== MAGIC) {
    throw invalid(path, `expected it to begin with ${MAGIC}, found ${JSON.stringify(magic)}`);
  }
  if (bytes < HEADER_BYTES) throw invalid(path, `it is cut short after ${bytes} bytes`);
  const version = header.readUInt32LE(4);
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
    throw invalid(
      path,
      `expected GGUF version ${OLDEST_VERSION} or ${NEWEST_VERSION}, found ${version}`,
    );
  }
  const tensors = header.readBigUInt64LE(8);
  const keys = header.readBigUInt64LE(16);
  if (tensors > MAX_ENTRIES || keys > MAX_ENTRIES) {
    throw invalid(
      path,
      `it claims ${tensors} tensors and ${keys} keys, at most ${MAX_ENTRIES} are taken`,
    );
  }
  return bytes;
}

function readHeader(path: string): { header: Buffer; bytes: number } {
  const header = Buffer.alloc(HEADER_BYTES);
  try {
    const file = openSync(path, "r");
    try {
      const stat = fstatSync(file);
      if (!stat.isFile()) throw invalid(path, "it is not a file");
      readSync(file, header, 0, HEADER_BYTES, 0);
      return { header, bytes: stat.size };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw explainOpenError(error, path);
  }
}

function explainOpenError(error: unknown, path: string): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof CodedError) return error;
  if (code !== "ENOENT" && code !== "ENOTDIR")
    return invalid(path, `it could not be read (${code})`);
  return new CodedError(`There is no file ${path}. Check the path, or fetch the model again.`, {
    code: "model_missing",
    cause: error,
  });
}

function invalid(path: string, why: string): CodedError {
  return new CodedError(`${path} is not a usable GGUF file: ${why}. Fetch or make it again.`, {
    code: "model_invalid",
  });
}

function describe(value: unknown): string {
  return value === undefined ? "no such key" : `a value of type ${typeof value}`;
}

function cType(type: number): string {
  const name = C_TYPES.get(type);
  if (name === undefined) throw new Error(`gguf type ${type} is not numeric`);
  return name;
}
