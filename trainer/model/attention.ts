/**
 * Grouped-query attention with rotary positions and a causal mask, forward and backward.
 * A group's queries are stacked along the token axis, so that the heads they share need no repeat and their
 * gradients sum by themselves. Padding stands at the end, where the causal mask hides it from real tokens.
 */
import type { Tensor } from "../ggml/tensor.ts";
import { type LinearTrace, linearBackward, linearForward } from "./linear.ts";
import { type NormTrace, normBackward, normForward } from "./norm.ts";
import type { Pass } from "./pass.ts";
import type { Block } from "./weights.ts";

/** What backward needs of attention's forward pass. */
export type AttentionTrace = {
  readonly norm: NormTrace;
  readonly q: LinearTrace;
  readonly k: LinearTrace;
  readonly v: LinearTrace;
  readonly o: LinearTrace;
  /** Turned queries [headDim, tokens · group, kvHeads, batch]. */
  readonly queries: Tensor;
  /** Turned keys [headDim, kvHeads, tokens, batch], before any copy. */
  readonly keys: Tensor;
  /** Values [headDim, kvHeads, tokens, batch]. */
  readonly values: Tensor;
  /** Attention weights [tokens, tokens · group, kvHeads, batch]. */
  readonly p: Tensor;
};

/** x + O(attention(norm(x))), [d, tokens · batch]. */
export function attentionForward(
  pass: Pass,
  block: Block,
  x: Tensor,
): { y: Tensor; trace: AttentionTrace } {
  const { operators, shape, inputs, rope } = pass;
  const norm = normForward(pass, block.attnNorm, x);
  const q = linearForward(pass, block.q, norm.y);
  const k = linearForward(pass, block.k, norm.y);
  const v = linearForward(pass, block.v, norm.y);
  const queries = stackGroups(pass, operators.rope(heads(pass, q.y), inputs.positions, rope));
  const keys = operators.rope(heads(pass, k.y), inputs.positions, rope);
  const values = heads(pass, v.y);
  const scores = operators.mulMat(pass.pack(operators.permute(keys, [0, 2, 1, 3])), queries);
  const p = operators.softMax(scores, inputs.mask, 1 / Math.sqrt(shape.headDim));
  const valuesT = pass.pack(operators.permute(values, [1, 2, 0, 3]));
  const mixed = unstackGroups(pass, operators.mulMat(valuesT, p));
  const o = linearForward(pass, block.o, mixed);
  return {
    y: operators.add(x, o.y),
    trace: {
      norm: norm.trace,
      q: q.trace,
      k: k.trace,
      v: v.trace,
      o: o.trace,
      queries,
      keys,
      values,
      p,
    },
  };
}

/** From dY [d, tokens · batch]: adds to the gradients, returns dX. */
export function attentionBackward(
  pass: Pass,
  block: Block,
  trace: AttentionTrace,
  dy: Tensor,
): Tensor {
  const { operators, inputs, rope } = pass;
  const dMixed = stackGroups(pass, heads(pass, linearBackward(pass, block.o, trace.o, dy)));
  const { dQueries, dKeys, dValues } = scoresBackward(pass, trace, dMixed);
  const dq = operators.ropeBack(unstack(pass, dQueries), inputs.positions, rope);
  const dk = operators.ropeBack(operators.permute(dKeys, [0, 2, 1, 3]), inputs.positions, rope);
  const dv = operators.cont(operators.permute(dValues, [0, 2, 1, 3]));
  const dn = [
    linearBackward(pass, block.q, trace.q, flat(pass, dq)),
    linearBackward(pass, block.k, trace.k, flat(pass, dk)),
    linearBackward(pass, block.v, trace.v, flat(pass, dv)),
  ].reduce((sum, part) => operators.add(sum, part));
  return operators.add(dy, normBackward(pass, block.attnNorm, trace.norm, dn));
}

function scoresBackward(pass: Pass, { queries, keys, values, p }: AttentionTrace, dMixed: Tensor) {
  const { operators, shape, graph } = pass;
  const dp = operators.mulMat(pass.pack(operators.permute(values, [0, 2, 1, 3])), dMixed);
  const pT = pass.transposed(p);
  const ds = operators.softMaxBack(dp, p, 1 / Math.sqrt(shape.headDim));
  // softMaxBack may overwrite p, its second source, when nothing reads p later: so copy p's transpose
  // first, and let dp be its sole-owner first source, which ggml prefers for working in place.
  graph.expand(pT, dp, ds);
  const dValues = operators.mulMat(pass.transposed(dMixed), pT);
  const keysT = pass.pack(operators.permute(keys, [1, 2, 0, 3]));
  const dQueries = operators.mulMat(keysT, ds);
  const dKeys = operators.mulMat(pass.transposed(queries), pass.transposed(ds));
  graph.expand(dValues, dQueries, dKeys);
  return { dQueries, dKeys, dValues };
}

/** [heads · headDim, tokens · batch] → [headDim, heads, tokens, batch], the same memory. */
function heads(pass: Pass, x: Tensor): Tensor {
  const { headDim } = pass.shape;
  const { nTokens, nBatch } = pass.batch;
  return pass.operators.reshape(x, headDim, x.ne[0] / headDim, nTokens, nBatch);
}

/** [headDim, heads, tokens, batch] → [heads · headDim, tokens · batch], the same memory. */
function flat(pass: Pass, x: Tensor): Tensor {
  return pass.operators.reshape(x, x.ne[0] * x.ne[1], x.ne[2] * x.ne[3]);
}

/** [headDim, heads, tokens, batch] → [headDim, tokens · group, kvHeads, batch]. */
function stackGroups(pass: Pass, x: Tensor): Tensor {
  const { operators, shape } = pass;
  const moved = operators.cont(operators.permute(x, [0, 2, 1, 3]));
  const group = shape.nHead / shape.nHeadKv;
  return operators.reshape(moved, x.ne[0], x.ne[2] * group, shape.nHeadKv, x.ne[3]);
}

/** Undoes `stackGroups` without copying: [headDim, heads, tokens, batch] with gaps. */
function unstack(pass: Pass, x: Tensor): Tensor {
  const { operators, shape, batch } = pass;
  const split = operators.reshape(x, x.ne[0], batch.nTokens, shape.nHead, batch.nBatch);
  return operators.permute(split, [0, 2, 1, 3]);
}

/** Undoes `stackGroups` into [heads · headDim, tokens · batch]. */
function unstackGroups(pass: Pass, x: Tensor): Tensor {
  return flat(pass, pass.operators.cont(unstack(pass, x)));
}
