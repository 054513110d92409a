/**
 * Which sequence of a context a new conversation takes, so that most of its prompt is computed already.
 * Pure: it reads what the sequences hold and touches no native memory.
 */

/** What a sequence's KV cells hold, position by position. */
export type CachedSequence = {
  readonly id: number;
  readonly tokens: readonly number[];
  readonly busy: boolean;
  /** Rises each time that the sequence is given out; 0 for never. */
  readonly lastUse: number;
};

/** Where a prompt goes and how many of its first tokens that sequence holds already. */
export type Placement = {
  readonly id: number;
  readonly kept: number;
  /** The sequence holds this very conversation so far. */
  readonly continues: boolean;
};

/**
 * A conversation is taken for the continuation of another only if it shares this many tokens beyond the system
 * prompt; fewer (a role marker, a greeting) are not worth evicting a stranger's conversation for.
 */
const MIN_CONTINUATION_TOKENS = 16;

/** Length of the longest common prefix. */
export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < length && a[shared] === b[shared]) shared += 1;
  return shared;
}

/**
 * Chooses an idle sequence: the one that holds this conversation so far, else an empty one (lowest id, so that ids
 * stay dense and micro-batches few), else the one that was idle for longest. At least one token of the prompt is
 * always left to compute, as its logits are needed.
 * @param shared how many of the prompt's first tokens are the system prompt, common to many conversations
 * @returns undefined when all are busy
 */
export function placePrompt(
  prompt: ArrayLike<number>,
  shared: number,
  sequences: readonly CachedSequence[],
): Placement | undefined {
  const limit = prompt.length - 1;
  const idle = sequences
    .filter((sequence) => !sequence.busy)
    .map((sequence) => ({
      sequence,
      kept: Math.min(commonPrefix(prompt, sequence.tokens), limit),
    }));
  const continued = idle
    .filter(({ kept }) => kept >= shared + MIN_CONTINUATION_TOKENS)
    .toSorted((a, b) => b.kept - a.kept || a.sequence.id - b.sequence.id)[0];
  const chosen = continued ?? idle.toSorted(byEmptyThenOldest)[0];
  if (chosen === undefined) return undefined;
  return { id: chosen.sequence.id, kept: chosen.kept, continues: chosen === continued };
}

/**
 * Where a conversation that is given one place would rather stand: next to those at work, best between two of them,
 * since each gap in the ids of a batch costs a micro-batch. What stands there moves to the given place.
 * @param given an idle sequence's id
 * @param sequences in ascending id, each at its id
 * @returns the given id where no other is better
 */
export function seatBeside(given: number, sequences: readonly CachedSequence[]): number {
  const isBusy = (id: number) => sequences[id]?.busy === true;
  const neighbours = (id: number) => Number(isBusy(id - 1)) + Number(isBusy(id + 1));
  const better = sequences
    .filter(({ id, busy }) => !busy && neighbours(id) > neighbours(given))
    .map((sequence) => ({ sequence, neighbours: neighbours(sequence.id) }))
    .toSorted((a, b) => b.neighbours - a.neighbours || byEmptyThenOldest(a, b));
  return better[0]?.sequence.id ?? given;
}

type Candidate = { readonly sequence: CachedSequence };

function byEmptyThenOldest(a: Candidate, b: Candidate): number {
  return (
    Math.sign(a.sequence.tokens.length) - Math.sign(b.sequence.tokens.length) ||
    a.sequence.lastUse - b.sequence.lastUse ||
    a.sequence.id - b.sequence.id
  );
}
