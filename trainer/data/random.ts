/**
 * A small seeded generator whose whole state is four numbers, so that a checkpoint can hold it.
 * Not for secrets: it is for shuffles and initial weights that must come out the same each time.
 */

/** The state of a `SeededRandom`: four unsigned 32-bit numbers. */
export type RandomState = readonly [number, number, number, number];

/** xoshiro128** (Blackman and Vigna, 2018), seeded through splitmix32. */
export class SeededRandom {
  #state: [number, number, number, number];

  private constructor(state: RandomState) {
    this.#state = [...state];
  }

  /** @param seeds whole numbers; each list of them gives its own stream */
  static from(...seeds: readonly number[]): SeededRandom {
    let mixed = 0x9e3779b9;
    for (const seed of seeds) mixed = splitmix32(mixed ^ Math.imul(seed | 0, 0x85ebca6b)).value;
    const state: number[] = [];
    for (let i = 0; i < 4; i++) {
      const { next, value } = splitmix32(mixed);
      mixed = next;
      state.push(value);
    }
    const [a = 1, b = 0, c = 0, d = 0] = state;
    return new SeededRandom([a, b, c, d]);
  }

  /** A generator that goes on where the one with this state stood. */
  static resume(state: RandomState): SeededRandom {
    return new SeededRandom(state);
  }

  get state(): RandomState {
    const [a, b, c, d] = this.#state;
    return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
  }

  /** A whole number in [0, 2³²). */
  next(): number {
    const s = this.#state;
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** A number in [0, 1). */
  uniform(): number {
    return this.next() / 2 ** 32;
  }

  /** A whole number in [0, bound), each equally likely; `bound` from 1 to 2³². */
  below(bound: number): number {
    const fair = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const drawn = this.next();
      if (drawn < fair) return drawn % bound;
    }
  }

  /** A draw from the normal distribution of mean 0 and deviation 1 (Box–Muller). */
  gaussian(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A new list with the same items in a random order (Fisher–Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    // Indices in a typed array: swapping them needs no checks for absent items.
    const order = Uint32Array.from(items.keys());
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = order[i] ?? 0;
      order[i] = order[j] ?? 0;
      order[j] = kept;
    }
    return Array.from(order, (index) => items[index]).filter((item) => item !== undefined);
  }
}

function splitmix32(state: number): { next: number; value: number } {
  const next = (state + 0x9e3779b9) | 0;
  let z = next ^ (next >>> 16);
  z = Math.imul(z, 0x21f0aaad);
  z ^= z >>> 15;
  z = Math.imul(z, 0x735a2d97);
  return { next, value: (z ^ (z >>> 15)) >>> 0 };
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}
