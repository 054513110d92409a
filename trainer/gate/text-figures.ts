/** What can be seen of an answer without understanding it: loops, and answers that are none. Pure. */

/** Word sequences of this length that come back make a loop. */
const LOOP_WORDS = 6;
/** So often, anywhere in the answer. */
const LOOP_TIMES = 3;
/** A short phrase right behind itself, so often, is one too. */
const STUTTER_TIMES = 4;
const STUTTER_LONGEST_WORDS = 5;

/** A piece of a word or a sign, right behind itself ten times, is one too. */
const PIECE_LOOP = /(\S{1,12}?)\1{9,}/u;

/**
 * Whether an answer is caught in a loop: the same six words three times, a phrase four times in a row,
 * or a piece without spaces ten times.
 */
export function isRepetitive(text: string): boolean {
  const words = wordsOf(text);
  return repeatsAnywhere(words) || stutters(words) || PIECE_LOOP.test(text);
}

/** Whether an answer holds no word or number at all. One word, such as "Yes.", is an answer. */
export function isEmpty(text: string): boolean {
  return wordsOf(text).length === 0;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function repeatsAnywhere(words: readonly string[]): boolean {
  const seen = new Map<string, number>();
  for (let i = 0; i + LOOP_WORDS <= words.length; i++) {
    const run = words.slice(i, i + LOOP_WORDS).join(" ");
    const times = (seen.get(run) ?? 0) + 1;
    if (times >= LOOP_TIMES) return true;
    seen.set(run, times);
  }
  return false;
}

function stutters(words: readonly string[]): boolean {
  for (let length = 1; length <= STUTTER_LONGEST_WORDS; length++) {
    let same = 0;
    for (let i = length; i < words.length; i++) {
      same = words[i] === words[i - length] ? same + 1 : 0;
      if (same >= length * (STUTTER_TIMES - 1)) return true;
    }
  }
  return false;
}
