/**
 * The safetensors format, read and written: eight bytes of header length, a JSON header, then the data of all
 * tensors without gaps (github.com/huggingface/safetensors, "Format"). Every claim of a file is checked before
 * it is followed; what the tensors mean is not known here.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { z } from "zod";
import { writeChunksAtomic } from "#engine/base/atomic-file.ts";
import { CodedError, systemCode } from "#engine/base/errors.ts";

/** A tensor as the header states it; `shape` is row-major, the row length last. */
export type SafeTensor = {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
};

/** A tensor to write in F32. */
export type SafeTensorToWrite = {
  readonly name: string;
  readonly shape: readonly number[];
  /** Gives the values when they are written, so that no more than one tensor need be in memory. */
  readonly values: () => Float32Array;
};

const LENGTH_BYTES = 8;
/** An adapter of a 405B model has about 1,800 tensors in 200 KB of header. */
const HEADER_LIMIT_BYTES = 16 * 2 ** 20;
const MAX_TENSORS = 16_384;
const MAX_DIMENSIONS = 8;
/** The data begins at a multiple of this, by spaces behind the header. */
const ALIGNMENT = 8;

/** Bytes of an element, of the types that may stand in a file. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const entrySchema = z.object({
  dtype: z.string().refine((name) => Object.hasOwn(DTYPE_BYTES, name), "an unknown dtype"),
  shape: z.array(whole).max(MAX_DIMENSIONS),
  data_offsets: z.tuple([whole, whole]),
});

/** An open safetensors file whose header was checked against its size. */
export class SafetensorsFile implements Disposable {
  readonly path: string;
  /** In the order of their data. */
  readonly tensors: readonly SafeTensor[];
  readonly #file: number;
  #isOpen = true;

  private constructor(path: string, file: number, tensors: readonly SafeTensor[]) {
    this.path = path;
    this.#file = file;
    this.tensors = tensors;
  }

  /**
   * Opens a file and reads its header.
   * @throws CodedError `adapter_corrupt` when there is no such file, or it claims what it does not hold
   */
  static open(path: string): SafetensorsFile {
    const file = openFile(path);
    try {
      const bytes = fstatSync(file).size;
      return new SafetensorsFile(path, file, readHeader(path, file, bytes));
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /**
   * A float tensor's values, row-major.
   * @throws CodedError `adapter_corrupt` when it is not F32, F16 or BF16, holds a number that is not finite,
   *   or the file became shorter
   */
  readFloats(tensor: SafeTensor): Float32Array {
    const bytes = readBytes(this.path, this.#file, tensor.offset, tensor.bytes);
    const values = toFloats(bytes, tensor.dtype);
    if (values === undefined) {
      throw corrupt(this.path, `${tensor.name} is ${tensor.dtype}, not F32, F16 or BF16`);
    }
    if (values.every(Number.isFinite)) return values;
    throw corrupt(this.path, `${tensor.name} holds numbers that are not finite`);
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }
}

/**
 * Writes a file in F32, or leaves what stood at `path`.
 * @param metadata free texts, such as PEFT's `format: pt`
 * @throws CodedError `disk_full`
 * @throws RangeError when a tensor's values are not as many as its shape says
 */
export function writeSafetensors(
  path: string,
  tensors: readonly SafeTensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): void {
  let end = 0;
  const entries = tensors.map(({ name, shape }) => {
    const begin = end;
    end += elements(shape) * Float32Array.BYTES_PER_ELEMENT;
    return [name, { dtype: "F32", shape, data_offsets: [begin, end] }] as const;
  });
  const header = { __metadata__: metadata, ...Object.fromEntries(entries) };
  writeChunksAtomic(path, fileChunks(JSON.stringify(header), tensors));
}

function* fileChunks(header: string, tensors: readonly SafeTensorToWrite[]): Generator<Uint8Array> {
  const bytes = Buffer.byteLength(header);
  const padded = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(padded));
  yield Buffer.concat([length, Buffer.from(header + " ".repeat(padded - bytes))]);
  for (const { name, shape, values } of tensors) {
    const data = values();
    if (data.length !== elements(shape)) {
      throw new RangeError(`${name} needs ${elements(shape)} values, got ${data.length}`);
    }
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

function readHeader(path: string, file: number, fileBytes: number): readonly SafeTensor[] {
  if (fileBytes < LENGTH_BYTES) throw corrupt(path, `it is cut short after ${fileBytes} bytes`);
  const claimed = readBytes(path, file, 0, LENGTH_BYTES).readBigUInt64LE();
  if (claimed > BigInt(Math.min(HEADER_LIMIT_BYTES, fileBytes - LENGTH_BYTES))) {
    throw corrupt(path, `its header claims ${claimed} bytes, the file has ${fileBytes}`);
  }
  const length = Number(claimed);
  const json = readBytes(path, file, LENGTH_BYTES, length).toString("utf8");
  const dataOffset = LENGTH_BYTES + length;
  const tensors = parseEntries(path, json)
    .map(([name, entry]) => locate(path, name, entry, dataOffset))
    .sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkCoverage(path, tensors, dataOffset, fileBytes);
  return tensors;
}

type Entry = z.infer<typeof entrySchema>;

function parseEntries(path: string, json: string): [string, Entry][] {
  const header = parseJson(path, json);
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  if (entries.length === 0 || entries.length > MAX_TENSORS) {
    throw corrupt(path, `it claims ${entries.length} tensors, 1 to ${MAX_TENSORS} are taken`);
  }
  return entries.map(([name, value]) => {
    const parsed = entrySchema.safeParse(value);
    if (parsed.success) return [name, parsed.data];
    const issue = parsed.error.issues[0];
    throw corrupt(path, `${quote(name)}: ${issue?.path.join(".")} ${issue?.message}`);
  });
}

function parseJson(path: string, json: string): object {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(json));
  } catch (error) {
    throw corrupt(path, "its header is not a JSON object", error);
  }
}

function locate(path: string, name: string, entry: Entry, dataOffset: number): SafeTensor {
  const { dtype, shape, data_offsets } = entry;
  const [begin, end] = data_offsets;
  const bytes = elements(shape) * (DTYPE_BYTES[dtype] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes) {
    throw corrupt(
      path,
      `${quote(name)} of [${shape.join(", ")}] ${dtype} does not take ${end - begin} bytes`,
    );
  }
  return { name, dtype, shape, offset: dataOffset + begin, bytes };
}

/** Overlaps and holes are refused, as the format demands: a file must not mean two things at once. */
function checkCoverage(
  path: string,
  tensors: readonly SafeTensor[],
  dataOffset: number,
  fileBytes: number,
): void {
  let next = dataOffset;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== next) throw corrupt(path, `${quote(name)} overlaps another tensor, or a gap`);
    next += bytes;
  }
  if (next !== fileBytes) {
    throw corrupt(path, `its tensors end at ${next} bytes, the file at ${fileBytes}`);
  }
}

function toFloats(bytes: Buffer<ArrayBuffer>, dtype: string): Float32Array | undefined {
  const { buffer, byteOffset, byteLength } = bytes;
  if (dtype === "F32") return new Float32Array(buffer, byteOffset, byteLength / 4);
  if (dtype === "F16")
    return Float32Array.from(new Float16Array(buffer, byteOffset, byteLength / 2));
  if (dtype !== "BF16") return undefined;
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** Own memory for each read: a slice of Node's pool would not be aligned for floats. */
function readBytes(path: string, file: number, at: number, length: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const read = readSync(file, bytes, done, length - done, at + done);
    if (read === 0) throw corrupt(path, "it became shorter while it was read");
    done += read;
  }
  return bytes;
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw corrupt(path, `it could not be read (${code})`, error);
  }
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, count) => product * count, 1);
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 120));
}

function corrupt(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError(`${path} is not a usable safetensors file: ${why}. Export it again.`, {
    code: "adapter_corrupt",
    cause,
  });
}
