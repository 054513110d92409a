/**
 * Linear layers that read the same input: q, k and v; gate and up. Where they are joined, all their A's are one
 * product, and the gradient of the input is one long product, in which nothing is left to be added up.
 */
import type { Tensor } from "../ggml/tensor.ts";
import {
  fromLow,
  type LinearTrace,
  linearBackward,
  linearForward,
  linearGradients,
  throughB,
} from "./linear.ts";
import type { Pass } from "./pass.ts";
import type { Joined, Linear, Siblings } from "./weights.ts";

/** W x (+ scale · B A x) of each: [in, tokens] → [out, tokens]. */
export function siblingsForward(
  pass: Pass,
  { members, joined }: Siblings,
  x: Tensor,
): { y: Tensor; trace: LinearTrace }[] {
  if (joined === undefined || pass.reference) {
    return members.map((member) => linearForward(pass, member, x));
  }
  const { operators } = pass;
  const lows = operators.scale(operators.mulMat(joined.forwardA, x), joined.scale);
  let from = 0;
  return members.map((member) => {
    const y = operators.mulMat(member.forward, x);
    if (member.adapter === undefined) return { y, trace: { x, low: undefined } };
    const low = operators.slice(lows, 0, from, rankOf(member));
    from += rankOf(member);
    return { y: operators.add(y, fromLow(pass, member.adapter, low)), trace: { x, low } };
  });
}

/** From each dY [out, tokens]: adds to the gradients, returns dX [in, tokens]. */
export function siblingsBackward(
  pass: Pass,
  { members, joined }: Siblings,
  traces: readonly LinearTrace[],
  dys: readonly Tensor[],
): Tensor {
  const each = zip(members, traces, dys);
  if (joined !== undefined) return joinedBackward(pass, joined, each);
  return each
    .map(({ member, trace, dy }) => linearBackward(pass, member, trace, dy))
    .reduce((sum, part) => pass.operators.add(sum, part));
}

/** From each dY [out, tokens]: adds to the gradients. */
export function siblingsGradients(
  pass: Pass,
  { members }: Siblings,
  traces: readonly LinearTrace[],
  dys: readonly Tensor[],
): void {
  for (const { member, trace, dy } of zip(members, traces, dys)) {
    linearGradients(pass, member, trace, dy);
  }
}

type Part = { readonly member: Linear; readonly trace: LinearTrace; readonly dy: Tensor };

/** dX = [W₁ᵀ W₂ᵀ … A₁ A₂ …] [dY₁; dY₂; …; scale B₁ᵀ dY₁; …]. */
function joinedBackward(pass: Pass, { backward }: Joined, parts: readonly Part[]): Tensor {
  const { operators, graph } = pass;
  const [length] = backward.ne;
  const tokens = parts[0]?.dy.ne[1] ?? 0;
  const whole = pass.sideBySide(length, tokens);
  let end = 0;
  const append = (part: Tensor): void => {
    graph.expand(operators.copyInto(part, operators.slice(whole, 0, end, part.ne[0])));
    end += part.ne[0];
  };
  for (const { dy } of parts) append(dy);
  const lowsFrom = end;
  for (const { member, trace, dy } of parts) {
    if (member.adapter === undefined || trace.low === undefined) continue;
    append(throughB(pass, member.adapter, trace.low, dy));
  }
  const dLows = operators.slice(whole, 0, lowsFrom, end - lowsFrom);
  accumulateA(pass, parts, dLows);
  // Multiplied by zeros, but not by what is no number: anything that is one will do.
  if (end < length) append(operators.slice(whole, 0, 0, length - end));
  const dx = operators.mulMat(backward, whole);
  graph.expand(dx);
  return dx;
}

/** dA = Σ x (scale Bᵀ dy)ᵀ of all adapters at once. */
function accumulateA(pass: Pass, parts: readonly Part[], dLows: Tensor): void {
  const { operators } = pass;
  const x = parts[0]?.trace.x;
  if (x === undefined) return;
  const da = operators.outProd(x, dLows);
  let from = 0;
  for (const { member } of parts) {
    if (member.adapter === undefined) continue;
    pass.accumulate(member.adapter.gradientA, operators.slice(da, 1, from, rankOf(member)));
    from += rankOf(member);
  }
}

function rankOf({ adapter }: Linear): number {
  return adapter?.a.ne[1] ?? 0;
}

function zip(
  members: readonly Linear[],
  traces: readonly LinearTrace[],
  dys: readonly Tensor[],
): Part[] {
  return members.map((member, i) => {
    const [trace, dy] = [traces[i], dys[i]];
    if (trace === undefined || dy === undefined) throw new RangeError("expected one of each");
    return { member, trace, dy };
  });
}
