/**
 * Turns rows of floats into a tensor type's bytes by ggml's own quantisers.
 * It knows types and row lengths, not what a tensor is for.
 */
import { GGML_TYPE, type Ggml } from "#engine/native/ggml.ts";

/** The tensor types that the project writes. */
export type WeightType = Exclude<keyof typeof GGML_TYPE, "i32">;

/** Their names, from exact to coarse. */
export const WEIGHT_TYPES = [
  "f32",
  "bf16",
  "f16",
  "q8_0",
  "q6_K",
  "q5_K",
  "q5_0",
  "q4_K",
  "q4_0",
  "q3_K",
  "q2_K",
] as const satisfies readonly WeightType[];

/** Whether rows of that length divide into the type's blocks. */
export function fitsRows(ggml: Ggml, type: WeightType, rowLength: number): boolean {
  return rowLength % Number(ggml.ggml_blck_size(GGML_TYPE[type])) === 0;
}

/**
 * @param values row-major, `ne` in ggml's order (row length first)
 * @returns the tensor's bytes
 * @throws RangeError when sizes do not agree or a value is not finite, where ggml would abort or write garbage
 */
export function encodeTensor(
  ggml: Ggml,
  type: WeightType,
  values: Float32Array,
  ne: readonly number[],
): Uint8Array {
  const [rowLength = 0, ...rest] = ne;
  const rows = rest.reduce((product, count) => product * count, 1);
  if (values.length === 0 || values.length !== rowLength * rows) {
    throw new RangeError(
      `[${ne.join(", ")}] needs ${rowLength * rows} values, got ${values.length}`,
    );
  }
  if (!fitsRows(ggml, type, rowLength)) {
    throw new RangeError(`rows of ${rowLength} values do not divide into the blocks of ${type}`);
  }
  if (!values.every(Number.isFinite)) throw new RangeError("a weight is NaN or infinite");
  const id = GGML_TYPE[type];
  const bytes = new Uint8Array(Number(ggml.ggml_row_size(id, rowLength)) * rows);
  ggml.ggml_quantize_chunk(id, values, bytes, 0, rows, rowLength, null);
  return bytes;
}
