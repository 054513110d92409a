/** Shares of what was asked, and which of many prompts are asked. */

/** How many of how many. */
export type Share = { readonly of: number; readonly right: number; readonly rate: number };

/** The share of items of which something holds; of none it is 0. */
export function shareOf<T>(items: readonly T[], holds: (item: T, index: number) => boolean): Share {
  const right = items.filter(holds).length;
  return { of: items.length, right, rate: items.length === 0 ? 0 : right / items.length };
}

/** At most `limit` items, spread over the list. */
export function evenly<T>(items: readonly T[], limit: number): T[] {
  if (items.length <= limit) return [...items];
  return items.filter(
    (_, index) =>
      Math.floor((index * limit) / items.length) !==
      Math.floor(((index - 1) * limit) / items.length),
  );
}
