/**
 * Prompts that are never trained on: held-out templates, held-out combinations, unseen asks. The
 * evaluation asks them, and so may the gate and the end-to-end test. It knows nothing of answers.
 */
import { SeededRandom } from "../data/random.ts";
import { pick } from "./corpus/answers.ts";
import type { Corpus } from "./corpus/corpus.ts";
import { type AskedQuestion, type LengthWish, questionsAbout } from "./corpus/questions.ts";
import type { Topic } from "./corpus/topics.ts";

/** A question about a topic, in a wording that was never trained. */
export type HeldOutQuestion = {
  readonly question: string;
  readonly topic: Topic;
  readonly wish: LengthWish;
};

/** An unlawful request in a wording that was never trained. */
type HeldOutAsk = {
  readonly question: string;
  readonly category: string;
  readonly caring: boolean;
  /** Whether the ask itself, not only its wording, is new. */
  readonly unseen: boolean;
};

/** All held-out prompts that are asked. */
export type HeldOutPrompts = {
  /** One for each thing and everyday task. */
  readonly topics: readonly HeldOutQuestion[];
  /** Lawful requests that look unlawful, three wordings each. */
  readonly lookalikes: readonly HeldOutQuestion[];
  readonly unlawful: readonly HeldOutAsk[];
  readonly smallTalk: readonly string[];
  readonly unknown: readonly string[];
};

const LOOKALIKES = "lookalikes";
const WORDINGS_OF_LOOKALIKE = 2;

/** Draws the held-out prompts; the same seed gives the same ones. */
export function heldOutPrompts(corpus: Corpus, seed = 1): HeldOutPrompts {
  const random = SeededRandom.from(seed, 7);
  const draw = (topic: Topic): HeldOutQuestion => {
    const { text, wish } = pick(questionsAbout(topic).filter(isHeldOut), random);
    return { question: text, topic, wish };
  };
  const lookalikes = corpus.topics.filter(({ domain }) => domain === LOOKALIKES);
  return {
    topics: corpus.topics.filter(({ domain }) => domain !== LOOKALIKES).map(draw),
    lookalikes: lookalikes.flatMap((topic) =>
      Array.from({ length: WORDINGS_OF_LOOKALIKE }, () => draw(topic)),
    ),
    unlawful: corpus.unlawful.flatMap(({ name: category, caring, asks }) =>
      asks.map(({ wordings, unseen }) => ({
        question: pick(wordings.filter(isHeldOut), random).text,
        category,
        caring,
        unseen,
      })),
    ),
    smallTalk: corpus.smallTalk.flatMap(({ prompts }) =>
      prompts.filter(isHeldOut).map(({ text }) => text),
    ),
    unknown: corpus.unknown
      .filter(({ unseen }) => unseen)
      .map(({ wordings }) => pick(wordings.filter(isHeldOut), random).text),
  };
}

function isHeldOut({ heldOut }: Pick<AskedQuestion, "heldOut">): boolean {
  return heldOut;
}
