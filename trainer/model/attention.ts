/**
 * Grouped-query attention with rotary positions and a causal mask, forward and backward.
 * A group's queries are stacked along the token axis, so that the heads they share need no repeat and their
 * gradients sum by themselves; queries go in spans that skip keys which the mask would hide. Linear layers
 * see columns, each token once; here rows are fetched into blocks, each sequence whole (see batch.ts).
 */
import type { Four, Tensor } from "../ggml/tensor.ts";
import { type LinearTrace, linearBackward, linearForward } from "./linear.ts";
import { type NormTrace, normBackward, normForward } from "./norm.ts";
import type { Pass, Span } from "./pass.ts";
import { siblingsBackward, siblingsForward, siblingsGradients } from "./siblings.ts";
import type { Block } from "./weights.ts";

/** One span's part of the trace; its sequences are those that the span counts. */
type SpanTrace = Span & {
  /** Turned queries [headDim, group · (to − from), kvHeads, sequences]. */
  readonly queries: Tensor;
  /** Attention weights [to, group · (to − from), kvHeads, sequences]. */
  readonly p: Tensor;
};

/** What backward needs of attention's forward pass. */
export type AttentionTrace = {
  readonly norm: NormTrace;
  readonly qkv: readonly LinearTrace[];
  readonly o: LinearTrace;
  /** Turned keys [headDim, kvHeads, tokens, sequences]. */
  readonly keys: Tensor;
  /** Values [headDim, kvHeads, tokens, sequences]. */
  readonly values: Tensor;
  readonly spans: readonly SpanTrace[];
  /** What is attended to, by cell [d, cells]; only its sizes are read. */
  readonly mixed: Tensor;
};

/**
 * x + O(attention(norm(x))): [d, columns] in; [d, columns] out, or [d, scored] of the last block, where no
 * other column matters any more.
 */
export function attentionForward(
  pass: Pass,
  block: Block,
  x: Tensor,
): { y: Tensor; trace: AttentionTrace } {
  const { operators, inputs } = pass;
  const norm = normForward(pass, block.attnNorm, x);
  const [q, k, v] = siblingsForward(pass, block.qkv, norm.y);
  if (q === undefined || k === undefined || v === undefined) throw new Error("expected q, k and v");
  const queries = toCells(pass, turn(pass, q.y, "rope"));
  const keys = toCells(pass, turn(pass, k.y, "rope"));
  const values = toCells(pass, v.y);
  const { mixed, spans } = mix(pass, queries, keys, values);
  const o = linearForward(
    pass,
    block.o,
    operators.getRows(mixed, block.isLast ? inputs.scoredCells : inputs.columnCells),
  );
  const rest = block.isLast ? operators.getRows(x, inputs.scoredColumns) : x;
  return {
    y: operators.add(rest, o.y),
    trace: {
      norm: norm.trace,
      qkv: [q.trace, k.trace, v.trace],
      o: o.trace,
      keys,
      values,
      spans,
      mixed,
    },
  };
}

/** From dY, sized as y: adds to the gradients, returns dX [d, columns], which the lowest block does without. */
export function attentionBackward(
  pass: Pass,
  block: Block,
  trace: AttentionTrace,
  dy: Tensor,
): Tensor | undefined {
  const { operators, inputs } = pass;
  const dOut = linearBackward(pass, block.o, trace.o, dy);
  // A column that two sequences show was taken from its own cell alone; the last block's rows from any cell.
  const dMixed = block.isLast
    ? operators.getRowsBack(dOut, inputs.scoredCells, trace.mixed)
    : operators.getRows(dOut, inputs.ownColumns);
  const { dQueries, dKeys, dValues } = mixBackward(pass, trace, dMixed);
  const byToken = (x: Tensor) => flat(pass, operators.cont(operators.permute(x, [0, 2, 1, 3])));
  const dq = turn(pass, toColumns(pass, dQueries), "ropeBack");
  const dk = turn(pass, toColumns(pass, byToken(dKeys)), "ropeBack");
  const dv = toColumns(pass, byToken(dValues));
  if (block.isLowest) {
    siblingsGradients(pass, block.qkv, trace.qkv, [dq, dk, dv]);
    return undefined;
  }
  const dn = siblingsBackward(pass, block.qkv, trace.qkv, [dq, dk, dv]);
  const rest = block.isLast ? operators.getRowsBack(dy, inputs.scoredColumns, trace.norm.x) : dy;
  return operators.add(rest, normBackward(pass, block.attnNorm, trace.norm, dn));
}

/** Turns the heads in columns [heads · headDim, columns] by their positions, or back. */
function turn(pass: Pass, x: Tensor, direction: "rope" | "ropeBack"): Tensor {
  const { operators, inputs, rope, shape } = pass;
  const byHead = operators.reshape(x, shape.headDim, x.ne[0] / shape.headDim, x.ne[1]);
  const turned = operators[direction](byHead, inputs.positions, rope);
  return operators.reshape(turned, x.ne[0], x.ne[1]);
}

/** Columns [heads · headDim, columns] as blocks [headDim, heads, tokens, sequences]. */
function toCells(pass: Pass, x: Tensor): Tensor {
  return heads(pass, pass.operators.getRows(x, pass.inputs.cellColumns));
}

/** Gradients by cell [width, cells] summed into columns [width, columns]; a column has two cells at most. */
function toColumns(pass: Pass, dCells: Tensor): Tensor {
  const { operators, inputs, graph } = pass;
  const own = operators.getRows(dCells, inputs.columnCells);
  if (inputs.sharedCells === undefined) return own;
  const other = operators.getRows(dCells, inputs.sharedCells);
  graph.expand(own, other);
  return operators.addAt(own, other, operators.slice(own, 1, 0, other.ne[1]));
}

/**
 * softmax(Qᵀ K / √headDim + mask) V: [headDim, heads, tokens, sequences] in, [d, cells] out. Of cells whose queries
 * no span counts, what comes out means nothing: they are read from their columns' own cells.
 */
function mix(pass: Pass, queries: Tensor, keys: Tensor, values: Tensor) {
  const { operators, shape, inputs, graph } = pass;
  const keysPacked = packSeen(pass, keys, [0, 2, 1, 3]);
  const valuesT = packSeen(pass, values, [1, 2, 0, 3]);
  // A copy, unlike a leaf, takes memory only while it is needed.
  let mixed = flat(pass, operators.cont(queries));
  const spans = pass.spans.map((span, index): SpanTrace => {
    const stacked = stackGroups(pass, queries, span);
    const scores = operators.mulMat(keysPacked(span), stacked);
    const mask = inputs.masks[index] ?? null;
    const p = operators.softMax(scores, mask, 1 / Math.sqrt(shape.headDim));
    const out = operators.mulMat(valuesT(span), p);
    mixed = unstackInto(pass, out, mixed, span);
    graph.expand(mixed);
    return { ...span, queries: stacked, p };
  });
  return { mixed, spans };
}

/** Gradients of `mix`: dQueries [d, cells], dKeys and dValues [headDim, tokens, kvHeads, sequences]. */
function mixBackward(pass: Pass, { keys, values, spans }: AttentionTrace, dMixed: Tensor) {
  const { operators, graph } = pass;
  const keysT = packSeen(pass, keys, [1, 2, 0, 3]);
  const valuesPacked = packSeen(pass, values, [0, 2, 1, 3]);
  let dQueries = operators.cont(dMixed);
  let sums: { dKeys: Tensor; dValues: Tensor } | undefined;
  // The last span comes first: it alone sees all keys, and the others add to a part of its sums.
  for (const span of spans.toReversed()) {
    const dOut = stackGroups(pass, heads(pass, dMixed), span);
    const parts = spanBackward(pass, span, valuesPacked(span), dOut);
    const dStacked = operators.mulMat(keysT(span), parts.ds);
    dQueries = unstackInto(pass, dStacked, dQueries, span);
    graph.expand(dQueries, parts.dKeys, parts.dValues);
    if (sums === undefined) {
      sums = parts;
      continue;
    }
    sums = {
      dKeys: addToFirst(pass, sums.dKeys, parts.dKeys, span),
      dValues: addToFirst(pass, sums.dValues, parts.dValues, span),
    };
    graph.expand(sums.dKeys, sums.dValues);
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

/**
 * Keys or values [headDim, kvHeads, tokens, sequences] as a span sees them, packed. The CPU takes slices of what is
 * packed once; a GPU gets a copy for each span, since Vulkan's products take heads to lie without gaps between them
 * and do not ask whether they do.
 */
function packSeen(pass: Pass, x: Tensor, axes: Four): (span: Span) => Tensor {
  const { operators, batch } = pass;
  const pack = (tokens: number, every: 1 | 2): Tensor => {
    const seen = operators.slice(operators.everyNth(x, every), 2, 0, tokens);
    return pass.pack(operators.permute(seen, axes));
  };
  if (!pass.isCpu) return ({ to, every }) => pack(to, every);
  const packed = new Map<number, Tensor>();
  return ({ to, every }) => {
    const whole = packed.get(every) ?? pack(every === 1 ? batch.nTokens : batch.nPrefix, every);
    packed.set(every, whole);
    return operators.slice(whole, axes[2] === 0 ? 0 : 1, 0, to);
  };
}

/** sum[:, :n] += part[:, :n] of the span's sequences, in place. */
function addToFirst(pass: Pass, sum: Tensor, part: Tensor, { every }: Span): Tensor {
  const { operators } = pass;
  const place = operators.slice(operators.everyNth(sum, every), 1, 0, part.ne[1]);
  return operators.addAt(sum, part, place);
}

/** [heads · headDim, cells] → [headDim, heads, tokens, sequences], the same memory. */
function heads(pass: Pass, x: Tensor): Tensor {
  const { headDim } = pass.shape;
  const { nTokens, nSequences } = pass.batch;
  return pass.operators.reshape(x, headDim, x.ne[0] / headDim, nTokens, nSequences);
}

/** [headDim, heads, tokens, sequences] → [heads · headDim, cells], the same memory. */
function flat(pass: Pass, x: Tensor): Tensor {
  return pass.operators.reshape(x, x.ne[0] * x.ne[1], x.ne[2] * x.ne[3]);
}

/** A span of [headDim, heads, tokens, sequences] as [headDim, group · span, kvHeads, its sequences]. */
function stackGroups(pass: Pass, x: Tensor, { from, to, every }: Span): Tensor {
  const { operators, shape, batch } = pass;
  const group = shape.nHead / shape.nHeadKv;
  // A group's heads lie beside each other: taken as one, four dimensions suffice.
  const grouped = operators.reshape(
    x,
    shape.headDim * group,
    shape.nHeadKv,
    batch.nTokens,
    batch.nSequences,
  );
  const part = operators.slice(operators.everyNth(grouped, every), 2, from, to - from);
  const moved = operators.permute(part, [0, 2, 1, 3]);
  return operators.reshape(
    operators.cont(moved),
    shape.headDim,
    group * (to - from),
    shape.nHeadKv,
    batch.nSequences / every,
  );
}

/**
 * Undoes `stackGroups`, into the span's place of `whole` [d, cells]; returns `whole` as it is then. Vulkan's SET goes
 * wrong where an outer dimension has the shorter stride, so heads are moved before there, and on the CPU by it.
 */
function unstackInto(pass: Pass, x: Tensor, whole: Tensor, { from, to, every }: Span): Tensor {
  const { operators, shape, batch } = pass;
  const width = shape.headDim * (shape.nHead / shape.nHeadKv);
  const grouped = operators.reshape(x, width, to - from, shape.nHeadKv, x.ne[3]);
  const byHead = operators.reshape(whole, width, shape.nHeadKv, batch.nTokens, batch.nSequences);
  const place = operators.slice(operators.everyNth(byHead, every), 2, from, to - from);
  const byToken: Four = [0, 2, 1, 3];
  return pass.isCpu
    ? operators.setInto(whole, grouped, operators.permute(place, byToken))
    : operators.setInto(whole, operators.cont(operators.permute(grouped, byToken)), place);
}
