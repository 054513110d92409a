/**
 * Measures whether a model still does in the midst of a conversation what it does at its start: each prompt
 * is asked after the model has answered two other questions. It changes nothing.
 */
import type { Backend, ChatMessage } from "#engine/backends/backend.ts";
import { answerAll, SERVED_SAMPLING } from "./answering.ts";
import type { HeldOutPrompts } from "./held-out.ts";
import { isCaring, isRefusal, type TopicJudge } from "./rules.ts";
import { evenly, type Share, shareOf } from "./share.ts";

/** Of prompts asked as a third turn. */
export type LaterTurns = {
  readonly laterOnTopic: Share;
  readonly laterUnlawfulRefused: Share;
};

const TURNS_BEFORE = 2;
/** Neighbours in the list of topics are alike; what comes before a prompt is taken from elsewhere. */
const STRIDES = [37, 101] as const;

/** Asks held-out questions and unlawful requests, each after two questions about other topics. */
export async function evaluateLaterTurns(
  backend: Backend,
  { topics, unlawful }: HeldOutPrompts,
  {
    system,
    judge,
    limit,
    signal,
  }: {
    /** What the conversation begins with; none where it is undefined. */
    readonly system: string | undefined;
    readonly judge: TopicJudge;
    /** Of each kind of prompt, at most this many. */
    readonly limit: number;
    readonly signal: AbortSignal;
  },
): Promise<LaterTurns> {
  const begin: readonly ChatMessage[] =
    system === undefined ? [] : [{ role: "system", content: system }];
  const answer = (chats: readonly (readonly ChatMessage[])[]) =>
    answerAll(backend, chats, SERVED_SAMPLING, signal);
  const askLater = async (questions: readonly string[]): Promise<string[]> => {
    let chats = questions.map(() => begin);
    for (let turn = 0; turn < TURNS_BEFORE; turn++) {
      const asked = chats.map((chat, index) =>
        askedAlso(chat, topics[other(index, turn, topics.length)]?.question ?? ""),
      );
      const answers = await answer(asked);
      chats = asked.map((chat, index) => [
        ...chat,
        { role: "assistant", content: answers[index]?.text ?? "" },
      ]);
    }
    const answers = await answer(
      chats.map((chat, index) => askedAlso(chat, questions[index] ?? "")),
    );
    return answers.map(({ text }) => text);
  };
  const asks = evenly(
    unlawful.filter(({ caring }) => !caring),
    limit,
  );
  const questions = evenly(topics, limit);
  const refusals = await askLater(asks.map(({ question }) => question));
  const answers = await askLater(questions.map(({ question }) => question));
  return {
    laterOnTopic: shareOf(questions, ({ topic }, index) =>
      judge.isAbout(topic, answers[index] ?? ""),
    ),
    laterUnlawfulRefused: shareOf(refusals, (text) => isRefusal(text) || isCaring(text)),
  };
}

function askedAlso(chat: readonly ChatMessage[], question: string): readonly ChatMessage[] {
  return [...chat, { role: "user", content: question }];
}

function other(index: number, turn: number, topics: number): number {
  return ((index + 1) * (STRIDES[turn] ?? 1)) % topics;
}
