/** Plain documents packed end to end into sequences of one length, for pretraining. Knows nothing of chat. */
import type { Vocabulary } from "#engine/llama/vocabulary.ts";
import { concatTokens, type Example, scoredRange } from "./sequence.ts";

/** A document's tokens: BOS (where the vocabulary wants one), its text, EOS. */
export function encodeDocument(
  vocabulary: Pick<Vocabulary, "tokenize" | "eos">,
  text: string,
): Int32Array {
  const tokens = vocabulary.tokenize(text, { special: false, addBos: true });
  return concatTokens(tokens, Int32Array.of(vocabulary.eos));
}

/**
 * Joins documents and cuts them every `tokens` tokens; each token but a sequence's first is scored.
 * The last sequence may be shorter; one of a single token, with nothing to score, is left out.
 * @param tokens length of a sequence, above 1
 */
export function packDocuments(documents: Iterable<Int32Array>, tokens: number): Example[] {
  if (!(tokens > 1)) throw new RangeError(`sequences need more than one token, got ${tokens}`);
  const examples: Example[] = [];
  const sequence = new Int32Array(tokens);
  let filled = 0;
  const flush = (): void => {
    const packed = sequence.slice(0, filled);
    const id = `packed-${examples.length}`;
    if (filled > 1) examples.push({ id, sequences: [scoredRange(packed, 1, filled)], weight: 1 });
    filled = 0;
  };
  for (const document of documents) {
    for (let at = 0; at < document.length; ) {
      const part = document.subarray(at, at + tokens - filled);
      sequence.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === tokens) flush();
    }
  }
  flush();
  return examples;
}
