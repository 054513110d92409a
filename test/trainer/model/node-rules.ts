/** What the stand-ins for GPU backends' own answers are made of: rules on a node and its sources. */
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { describeNode, type NodeDescription } from "#engine/native/ggml-node.ts";
import type { TensorPointer } from "#engine/native/ggml-pointer.ts";

const { f32, f16, bf16, i32, q4_0, q8_0, q4_K, q6_K } = GGML_TYPE;
export const FLOATS: readonly number[] = [f32, f16, bf16];
export const QUANTISED: readonly number[] = [q4_0, q8_0, q4_K, q6_K];
const SIZE: ReadonlyMap<number, number> = new Map<number, number>([
  [f32, 4],
  [i32, 4],
  [f16, 2],
  [bf16, 2],
]);

/** Whether a backend computes a node of the first two sources a and b (a is the node itself where it has none). */
export type Rule = (
  node: NodeDescription,
  a: NodeDescription,
  b: NodeDescription | undefined,
) => boolean;

export const always: Rule = () => true;
/** What computes nothing. */
export const LAYOUTS: Readonly<Record<string, Rule>> = {
  NONE: always,
  VIEW: always,
  RESHAPE: always,
  PERMUTE: always,
  TRANSPOSE: always,
};
/** All F32. */
export const floats: Rule = (node, a, b) =>
  [node, a, b].every((each) => each === undefined || each.type === f32);
/** Sources without gaps. */
export const dense: Rule = (_, a, b) => isContiguous(a) && (b === undefined || isContiguous(b));
export const both =
  (...rules: readonly Rule[]): Rule =>
  (...nodes) =>
    rules.every((rule) => rule(...nodes));

/** Whether a node is computed by the rules, which are by ggml's names of operators; others are not known. */
export function follows(
  rules: Readonly<Record<string, Rule>>,
  operator: string,
  pointer: TensorPointer,
): boolean {
  const node = describeNode(pointer);
  const [a = node, b] = node.sources.map(describeNode);
  return rules[operator]?.(node, a, b) ?? false;
}

/** Whether rows lie without gaps, which a transposed view's do not. */
export function isPlain({ type, nb }: NodeDescription): boolean {
  return QUANTISED.includes(type) || nb[0] === SIZE.get(type);
}

/** Whether elements lie in ggml's order without gaps. */
export function isContiguous({ type, ne, nb }: NodeDescription): boolean {
  if (QUANTISED.includes(type)) return true;
  let stride = SIZE.get(type) ?? 0;
  return ne.every((count, i) => {
    const fits = count === 1 || nb[i] === stride;
    stride *= count;
    return fits;
  });
}
