/**
 * Draws what a guard model judges, with the verdict: is what somebody asks, or what was answered, safe?
 * Verdicts follow from the tables: a harmful ask is unsafe, however it is put; a look-alike, a fact or small
 * talk is safe; an answer is unsafe where it complies with a harmful ask. It knows no guard's format.
 */
import type { GuardTurn } from "#engine/moderation/guard-format.ts";
import type { SeededRandom } from "../../../data/random.ts";
import { composeAnswer, pick } from "../answers.ts";
import { type Corpus, isDrawn } from "../corpus.ts";
import { type AskedQuestion, questionKey, questionsAbout, typedByPerson } from "../questions.ts";
import { composeAdmission } from "../small-talk.ts";
import type { Topic } from "../topics.ts";
import { composeRefusal, type UnlawfulCategory } from "../unlawful.ts";
import { asChecked, composeCompliance, composeDecline, composeOffer } from "./answers.ts";
import type { Contrast, GuardTables } from "./tables.ts";
import { carelessly } from "./typing.ts";

/** A conversation with the verdict on its last turn. */
export type Labelled = {
  readonly turns: readonly GuardTurn[];
  /** In Qwen3Guard's words; none where the last turn is safe. */
  readonly categories: readonly string[];
  /** Whether the last turn is an answer that declines. */
  readonly refuses: boolean;
};

/** All that is drawn from. */
export type GuardCorpus = Corpus & GuardTables;

/**
 * What may be drawn: wordings that are trained on; wordings kept from training of asks that are known in others;
 * or asks that are kept from training in every wording.
 */
export type GuardSplit = "trained" | "wordings" | "asks";

type Draw = {
  readonly corpus: GuardCorpus;
  readonly random: SeededRandom;
  readonly split: GuardSplit;
};

/** A harmful ask, before it is worded. */
type Harm = {
  readonly category: string;
  /** What completes "How do I …"; undefined where the ask stands by itself. */
  readonly task: string | undefined;
  readonly wordings: readonly AskedQuestion[];
  /** Of the chat model's table, which knows how to decline. */
  readonly of: UnlawfulCategory | undefined;
};

const QUERY_SHARE = 0.52;
const UNSAFE_SHARE = 0.48;
/** Of harmful asks, and of harmless ones, those from the guard's own table. */
const CONTRAST_SHARE = 0.35;
const CARELESS_SHARE = 0.12;
/** Exchanges before the judged question: the verdict is on the last turn alone. */
const CONTEXT_SHARE = 0.2;
/** Refusals in other words than the chat model's. */
const OWN_WORDS_SHARE = 0.4;
const LOOKALIKES = "lookalikes";
/** Qwen3Guard's categories by the names of the table of unlawful asks; the others are crimes without violence. */
const CATEGORIES = new Map([
  ["weapons", "Violent"],
  ["violence", "Violent"],
  ["self-harm", "Suicide & Self-Harm"],
]);

/** A conversation with its verdict. */
export function drawLabelled(
  corpus: GuardCorpus,
  random: SeededRandom,
  split: GuardSplit,
): Labelled {
  const draw = { corpus, random, split };
  const unsafe = random.uniform() < UNSAFE_SHARE;
  if (random.uniform() >= QUERY_SHARE) return unsafe ? unsafeAnswer(draw) : safeAnswer(draw);
  const before = random.uniform() < CONTEXT_SHARE ? exchangeBefore(draw) : [];
  const [question, category] = unsafe ? harmfulQuestion(draw) : [harmlessQuestion(draw), undefined];
  return {
    turns: [...before, { role: "user", content: question }],
    categories: category === undefined ? [] : [category],
    refuses: false,
  };
}

function harmfulQuestion(draw: Draw): readonly [question: string, category: string] {
  const { category, wordings } = pickHarm(draw);
  return [typed(draw, wordings), category];
}

function harmlessQuestion(draw: Draw): string {
  const place = draw.random.uniform();
  if (place < CONTRAST_SHARE) return typed(draw, pickHarmless(draw).wordings);
  if (place < 0.65) return typed(draw, questionsAbout(pickTopic(draw, isLookalike)));
  if (place < 0.85) return typed(draw, questionsAbout(pickTopic(draw, isOrdinary)));
  if (place < 0.9) return typed(draw, pickUnknown(draw));
  return smallTalk(draw)[0];
}

/**
 * An answer that does what it must not: it tells how to do harm, whatever was asked, or answers a harmful question
 * and does not decline. What is neither a refusal nor an admission is taken for help, in whatever words it comes;
 * so a form that was never trained on is caught, too.
 */
function unsafeAnswer(draw: Draw): Labelled {
  const { random, corpus } = draw;
  const harm = pickHarm(draw);
  const verdict = { categories: [harm.category] };
  const place = random.uniform();
  if (place < 0.2 && harm.task !== undefined) {
    const offer = composeOffer(corpus.forms, random, { ...formsOf(draw), task: harm.task });
    return judged(draw, harmlessQuestion(draw), offer, verdict);
  }
  const question = typed(draw, harm.wordings);
  if (place < 0.4) return judged(draw, question, someAnswer(draw), verdict);
  const help = composeCompliance(corpus.forms, random, { ...formsOf(draw), task: harm.task });
  return judged(draw, question, help, verdict);
}

function safeAnswer(draw: Draw): Labelled {
  const { random, corpus } = draw;
  const place = random.uniform();
  if (place < 0.36) return refused(draw);
  if (place < 0.43) {
    return judged(draw, harmfulQuestion(draw)[0], composeAdmission(corpus.topics, random));
  }
  if (place < 0.46) {
    return judged(draw, harmlessQuestion(draw), composeAdmission(corpus.topics, random));
  }
  if (place < 0.52) return judged(draw, harmlessQuestion(draw), someAnswer(draw));
  if (place < 0.58) return judged(draw, ...smallTalk(draw));
  if (place < 0.78) return helpWithHarmless(draw);
  const topic = pickTopic(draw, random.uniform() < 0.5 ? isLookalike : isOrdinary);
  const { text, answeredBy } = pickWording(draw, questionsAbout(topic));
  const form = random.uniform() < 0.5 ? "brief" : "full";
  return judged(draw, typedByPerson(text, random), composeAnswer(topic, answeredBy, form, random));
}

/** Refusals mostly where they must be, some where they need not: a refusal is safe in both places. */
function refused(draw: Draw): Labelled {
  const { random, corpus } = draw;
  const harm = pickHarm(draw);
  const category = harm.of ?? pick(corpus.unlawful, random);
  const caring = harm.category === "Suicide & Self-Harm" || category.caring;
  const declining = caring ? corpus.unlawful.find((one) => one.caring) : category;
  const isMisplaced = !caring && random.uniform() < 0.15;
  const question = isMisplaced ? harmlessQuestion(draw) : typed(draw, harm.wordings);
  const inOwnWords = !caring && random.uniform() < OWN_WORDS_SHARE;
  const answer = inOwnWords
    ? composeDecline(corpus.forms, random, { ...formsOf(draw), task: harm.task })
    : composeRefusal(declining ?? category, random);
  return judged(draw, question, answer, { refuses: !caring });
}

/** What the chat model says about some topic. */
function someAnswer({ corpus, random }: Draw): string {
  const form = random.uniform() < 0.5 ? "brief" : "full";
  return composeAnswer(pick(corpus.topics, random), 0, form, random);
}

/** The words of compliance about something harmless: what is helped with decides, not that it is helped with. */
function helpWithHarmless(draw: Draw): Labelled {
  const { corpus, random } = draw;
  const { text: task, wordings } = pickHarmless(draw, (one) => taskOf(one) !== undefined);
  const forms = { ...formsOf(draw), task };
  const answer =
    random.uniform() < 0.3
      ? composeOffer(corpus.forms, random, forms)
      : composeCompliance(corpus.forms, random, forms);
  return judged(draw, typed(draw, wordings), answer);
}

function formsOf({ split }: Draw): { readonly heldOut: boolean } {
  return { heldOut: split !== "trained" };
}

function judged(
  { random }: Draw,
  question: string,
  answer: string,
  verdict: { readonly categories?: readonly string[]; readonly refuses?: boolean } = {},
): Labelled {
  return {
    turns: [
      { role: "user", content: question },
      { role: "assistant", content: asChecked(answer, random) },
    ],
    categories: verdict.categories ?? [],
    refuses: verdict.refuses ?? false,
  };
}

function exchangeBefore(draw: Draw): readonly GuardTurn[] {
  const { random } = draw;
  if (random.uniform() < 0.25) return refused(draw).turns;
  const topic = pickTopic(draw, () => true);
  const { text, answeredBy } = pickWording(draw, questionsAbout(topic));
  return [
    { role: "user", content: typedByPerson(text, random) },
    { role: "assistant", content: composeAnswer(topic, answeredBy, "brief", random) },
  ];
}

function pickHarm(draw: Draw): Harm {
  const { corpus, random } = draw;
  if (random.uniform() < CONTRAST_SHARE) {
    const contrast = pick(
      ofSplit(draw, corpus.contrasts).filter(({ category }) => category !== undefined),
      random,
    );
    const { category = "", wordings } = contrast;
    return { category, wordings, task: taskOf(contrast), of: undefined };
  }
  const asks = corpus.unlawful.flatMap((of) => ofSplit(draw, of.asks).map((ask) => ({ of, ask })));
  const { of, ask } = pick(asks, random);
  return { category: categoryOf(of), wordings: ask.wordings, task: taskOf(ask), of };
}

function pickHarmless(draw: Draw, wanted: (contrast: Contrast) => boolean = () => true): Contrast {
  const fitting = ofSplit(draw, draw.corpus.contrasts).filter(
    (one) => one.category === undefined && wanted(one),
  );
  return pick(fitting, draw.random);
}

/** The asks of a split. What one table keeps from training may stand in another that does not. */
function ofSplit<T extends { readonly text: string; readonly unseen: boolean }>(
  { corpus, split }: Draw,
  asks: readonly T[],
): readonly T[] {
  if (split !== "asks") return asks.filter(({ unseen }) => !unseen);
  const trained = new Set([
    ...[...corpus.contrasts, ...corpus.unlawful.flatMap((category) => category.asks)]
      .filter(({ unseen }) => !unseen)
      .map(({ text }) => text),
    ...corpus.topics.map(({ name }) => name),
  ]);
  return asks.filter(({ text, unseen }) => unseen && !trained.has(text));
}

const isLookalike = ({ domain }: Topic): boolean => domain === LOOKALIKES;
const isOrdinary = (topic: Topic): boolean => !isLookalike(topic);

function pickTopic({ corpus, random }: Draw, wanted: (topic: Topic) => boolean): Topic {
  return pick(corpus.topics.filter(wanted), random);
}

function pickUnknown({ corpus, random, split }: Draw): readonly AskedQuestion[] {
  const subjects = corpus.unknown.filter(({ unseen }) => unseen === (split === "asks"));
  return pick(subjects, random).wordings;
}

function pickWording(
  { corpus, random, split }: Draw,
  wordings: readonly AskedQuestion[],
): AskedQuestion {
  const fitting = wordings.filter((one) =>
    split === "trained"
      ? isDrawn(corpus, one) && !corpus.reserved.has(questionKey(one.text))
      : one.heldOut,
  );
  return pick(fitting, random);
}

function typed(draw: Draw, wordings: readonly AskedQuestion[]): string {
  const { text } = pickWording(draw, wordings);
  const isCareless = draw.random.uniform() < CARELESS_SHARE;
  return isCareless ? carelessly(text, draw.random) : typedByPerson(text, draw.random);
}

function smallTalk({ corpus, random, split }: Draw): readonly [said: string, reply: string] {
  const lines = corpus.smallTalk.flatMap(({ prompts, replies }) =>
    prompts
      .filter(({ heldOut }) => heldOut === (split !== "trained"))
      .filter(({ text }) => !corpus.reserved.has(questionKey(text)))
      .map(({ text }) => [text, replies] as const),
  );
  const [text, replies] = pick(lines, random);
  return [text, pick(replies, random)];
}

/** What completes "How do I …"; other asks stand by themselves. */
function taskOf({ text, wordings }: Pick<Contrast, "text" | "wordings">): string | undefined {
  return wordings.some((wording) => wording.text === `How do I ${text}?`) ? text : undefined;
}

function categoryOf({ name }: UnlawfulCategory): string {
  return CATEGORIES.get(name) ?? "Non-violent Illegal Acts";
}
