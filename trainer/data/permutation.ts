/**
 * A shuffle that is computed place by place, so that the order of a million examples takes no memory.
 * It knows numbers only.
 */
import type { RandomState } from "./random.ts";

/** More than the four that Luby and Rackoff need, since the round function is a weak one. */
const ROUNDS = 8;

/**
 * What stands at `place` in the order of `count` items that `key` gives: for one key, every item once.
 * A Feistel network over the next even power of two, walked until it comes back into range (Black and
 * Rogaway, "Ciphers with arbitrary finite domains", 2002).
 * @param place [0, count)
 * @param count from 1 to 2³⁰
 */
export function permuted(place: number, count: number, key: RandomState): number {
  if (!(place >= 0 && place < count && count <= 2 ** 30)) {
    throw new RangeError(`there is no place ${place} among ${count} (of 2³⁰ at most)`);
  }
  const halfBits = Math.max(1, Math.ceil(Math.ceil(Math.log2(count)) / 2));
  const mask = 2 ** halfBits - 1;
  let at = place;
  do at = encipher(at, halfBits, mask, key);
  while (at >= count);
  return at;
}

function encipher(value: number, halfBits: number, mask: number, key: RandomState): number {
  let left = value >>> halfBits;
  let right = value & mask;
  for (let round = 0; round < ROUNDS; round++) {
    const mixed = mix(right ^ ((key[round % 4] ?? 0) + Math.imul(round, 0x9e3779b9)));
    [left, right] = [right, left ^ (mixed & mask)];
  }
  return (left << halfBits) | right;
}

/** The finaliser of MurmurHash3: each bit of the input reaches each of the output. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
