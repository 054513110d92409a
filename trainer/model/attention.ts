/**
 * Grouped-query attention with rotary positions and a causal mask, forward and backward.
 * A group's queries are stacked along the token axis, so that the heads they share need no repeat and their
 * gradients sum by themselves; queries go in spans that skip keys which the mask would hide. Padding stands at
 * the end of a sequence, where the causal mask hides it from real tokens.
 */
import type { Tensor } from "../ggml/tensor.ts";
import { type LinearTrace, linearBackward, linearForward } from "./linear.ts";
import { type NormTrace, normBackward, normForward } from "./norm.ts";
import type { Pass, Span } from "./pass.ts";
import type { Block } from "./weights.ts";

/** One span's part of the trace. */
type SpanTrace = Span & {
  /** Turned queries [headDim, group · (to − from), kvHeads, batch]. */
  readonly queries: Tensor;
  /** Attention weights [to, group · (to − from), kvHeads, batch]. */
  readonly p: Tensor;
};

/** What backward needs of attention's forward pass. */
export type AttentionTrace = {
  readonly norm: NormTrace;
  readonly q: LinearTrace;
  readonly k: LinearTrace;
  readonly v: LinearTrace;
  readonly o: LinearTrace;
  /** Turned keys [headDim, kvHeads, tokens, batch]. */
  readonly keys: Tensor;
  /** Values [headDim, kvHeads, tokens, batch]. */
  readonly values: Tensor;
  readonly spans: readonly SpanTrace[];
};

/** x + O(attention(norm(x))), [d, tokens · batch]. */
export function attentionForward(
  pass: Pass,
  block: Block,
  x: Tensor,
): { y: Tensor; trace: AttentionTrace } {
  const { operators, inputs, rope } = pass;
  const norm = normForward(pass, block.attnNorm, x);
  const q = linearForward(pass, block.q, norm.y);
  const k = linearForward(pass, block.k, norm.y);
  const v = linearForward(pass, block.v, norm.y);
  const queries = operators.rope(heads(pass, q.y), inputs.positions, rope);
  const keys = operators.rope(heads(pass, k.y), inputs.positions, rope);
  const values = heads(pass, v.y);
  const { mixed, spans } = mix(pass, queries, keys, values);
  const o = linearForward(pass, block.o, mixed);
  return {
    y: operators.add(x, o.y),
    trace: {
      norm: norm.trace,
      q: q.trace,
      k: k.trace,
      v: v.trace,
      o: o.trace,
      keys,
      values,
      spans,
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
  const dMixed = linearBackward(pass, block.o, trace.o, dy);
  const { dQueries, dKeys, dValues } = mixBackward(pass, trace, dMixed);
  const byToken = (x: Tensor) => operators.permute(x, [0, 2, 1, 3]);
  const dq = operators.ropeBack(heads(pass, dQueries), inputs.positions, rope);
  const dk = operators.ropeBack(byToken(dKeys), inputs.positions, rope);
  const dv = operators.cont(byToken(dValues));
  const dn = [
    linearBackward(pass, block.q, trace.q, flat(pass, dq)),
    linearBackward(pass, block.k, trace.k, flat(pass, dk)),
    linearBackward(pass, block.v, trace.v, flat(pass, dv)),
  ].reduce((sum, part) => operators.add(sum, part));
  return operators.add(dy, normBackward(pass, block.attnNorm, trace.norm, dn));
}

/** softmax(Qᵀ K / √headDim + mask) V: heads [headDim, heads, tokens, batch] in, [d, tokens · batch] out. */
function mix(pass: Pass, queries: Tensor, keys: Tensor, values: Tensor) {
  const { operators, shape, inputs, graph } = pass;
  const keysPacked = pass.pack(operators.permute(keys, [0, 2, 1, 3]));
  const valuesT = pass.pack(operators.permute(values, [1, 2, 0, 3]));
  // Every part is overwritten; a copy, unlike a leaf, takes memory only while it is needed.
  const mixed = flat(pass, operators.cont(queries));
  const spans = pass.spans.map((span, index): SpanTrace => {
    const stacked = stackGroups(pass, queries, span);
    const scores = operators.mulMat(operators.slice(keysPacked, 1, 0, span.to), stacked);
    const mask = inputs.masks[index] ?? null;
    const p = operators.softMax(scores, mask, 1 / Math.sqrt(shape.headDim));
    const out = operators.mulMat(operators.slice(valuesT, 0, 0, span.to), p);
    graph.expand(unstackInto(pass, out, mixed, span));
    return { ...span, queries: stacked, p };
  });
  return { mixed, spans };
}

/** Gradients of `mix`: dQueries [d, tokens · batch], dKeys and dValues [headDim, tokens, kvHeads, batch]. */
function mixBackward(pass: Pass, { keys, values, spans }: AttentionTrace, dMixed: Tensor) {
  const { operators, graph } = pass;
  const keysT = pass.pack(operators.permute(keys, [1, 2, 0, 3]));
  const valuesPacked = pass.pack(operators.permute(values, [0, 2, 1, 3]));
  const dQueries = operators.cont(dMixed);
  let sums: { dKeys: Tensor; dValues: Tensor } | undefined;
  // The last span comes first: it alone sees all keys, and the others add to a part of its sums.
  for (const span of spans.toReversed()) {
    const dOut = stackGroups(pass, heads(pass, dMixed), span);
    const parts = spanBackward(pass, span, operators.slice(valuesPacked, 1, 0, span.to), dOut);
    const dStacked = operators.mulMat(operators.slice(keysT, 0, 0, span.to), parts.ds);
    graph.expand(unstackInto(pass, dStacked, dQueries, span));
    graph.expand(parts.dKeys, parts.dValues);
    if (sums === undefined) sums = parts;
    else
      graph.expand(
        addToFirst(pass, sums.dKeys, parts.dKeys),
        addToFirst(pass, sums.dValues, parts.dValues),
      );
  }
  if (sums === undefined) throw new Error("a sequence without spans");
  return { dQueries, ...sums };
}

function spanBackward(pass: Pass, { queries, p }: SpanTrace, values: Tensor, dOut: Tensor) {
  const { operators, shape, graph } = pass;
  const pT = pass.transposed(p);
  const dp = operators.mulMat(values, dOut);
  const ds = operators.softMaxBack(dp, p, 1 / Math.sqrt(shape.headDim));
  // ggml may compute softMaxBack in place over p, its second source, once nothing else reads p: take p's
  // transpose before. It prefers the first source, dp, which is read by nothing else.
  graph.expand(pT, dp, ds);
  return {
    ds,
    dKeys: operators.mulMat(pass.transposed(queries), pass.transposed(ds)),
    dValues: operators.mulMat(pass.transposed(dOut), pT),
  };
}

/** sum[:, :n] += part[:, :n], in place. */
function addToFirst(pass: Pass, sum: Tensor, part: Tensor): Tensor {
  return pass.operators.addInto(pass.operators.slice(sum, 1, 0, part.ne[1]), part);
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

/** A span of [headDim, heads, tokens, batch] as [headDim, group · span, kvHeads, batch]. */
function stackGroups(pass: Pass, x: Tensor, { from, to }: Span): Tensor {
  const { operators, shape, batch } = pass;
  const group = shape.nHead / shape.nHeadKv;
  // A group's heads lie beside each other: taken as one, four dimensions suffice.
  const grouped = operators.reshape(
    x,
    shape.headDim * group,
    shape.nHeadKv,
    batch.nTokens,
    batch.nBatch,
  );
  const moved = operators.permute(operators.slice(grouped, 2, from, to - from), [0, 2, 1, 3]);
  return operators.reshape(
    operators.cont(moved),
    shape.headDim,
    group * (to - from),
    shape.nHeadKv,
    batch.nBatch,
  );
}

/** Undoes `stackGroups`, into the span's place of `whole` [d, tokens · batch]. */
function unstackInto(pass: Pass, x: Tensor, whole: Tensor, { from, to }: Span): Tensor {
  const { operators, shape, batch } = pass;
  const width = shape.headDim * (shape.nHead / shape.nHeadKv);
  const grouped = operators.reshape(x, width, to - from, shape.nHeadKv, batch.nBatch);
  const place = operators.reshape(whole, width, shape.nHeadKv, batch.nTokens, batch.nBatch);
  return operators.copyInto(
    operators.permute(grouped, [0, 2, 1, 3]),
    operators.slice(place, 2, from, to - from),
  );
}
