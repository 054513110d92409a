/** Thirty scripted people who ask the same things of the bot, and like answers that are short. */
import { SeededRandom } from "#trainer/data/random.ts";
import { countWords } from "#trainer/nano/rules.ts";
import type { LocalCommunity, SeenMessage } from "./local-person.ts";

/** Words up to which these people call an answer short: one sentence. */
const SHORT_WORDS = 24;
/** How many people vote on each answer, its asker among them. */
const VOTERS = 3;
/** How far the people move on from one channel to the next, so that each question has other askers there. */
const ASKER_SHIFT = 7;
const ANSWER_LIMIT_MS = 60_000;

/** What the crowd did. */
export type CrowdReport = {
  readonly answers: number;
  readonly liked: number;
  readonly votes: number;
};

/** One question, asked by one person in one channel. */
type Ask = { readonly asker: string; readonly channel: string; readonly question: string };

/**
 * Each question is asked once in each channel, by another person each time; everybody asks equally
 * often, and a few chats run at once.
 * @param lanes how many ask at the same time
 */
export async function askAndVote(
  community: LocalCommunity,
  crowd: {
    readonly people: readonly string[];
    readonly channels: readonly string[];
    readonly questions: readonly string[];
    readonly lanes: number;
  },
): Promise<CrowdReport> {
  const asks = deal(crowd);
  const random = SeededRandom.from(3, 1);
  let liked = 0;
  const lane = async (): Promise<void> => {
    for (let ask = asks.shift(); ask !== undefined; ask = asks.shift()) {
      const isShort = await askOnce(community, ask, pickVoters(crowd.people, ask.asker, random));
      if (isShort) liked += 1;
    }
  };
  const answers = asks.length;
  await Promise.all(Array.from({ length: crowd.lanes }, lane));
  return { answers, liked, votes: answers * VOTERS };
}

/** The words of an answer, without the small print that says who answered. */
function answerText(message: SeenMessage): string {
  return message.content
    .split("\n")
    .filter((line) => !line.startsWith("-# ") && !line.startsWith("> "))
    .join("\n")
    .trim();
}

/** Whether an answer is complete: only then does it say who answered. */
function isFinished(message: SeenMessage): boolean {
  return /^-# nano · (base weights|adapter \S+)/m.test(message.content);
}

async function askOnce(
  community: LocalCommunity,
  { asker, channel, question }: Ask,
  voters: readonly string[],
): Promise<boolean> {
  const id = await community.slash(asker, channel, "chat", { text: question });
  const message = await community.until(id, isFinished, ANSWER_LIMIT_MS);
  const isShort = countWords(answerText(message)) <= SHORT_WORDS;
  await Promise.all(voters.map((voter) => community.react(voter, id, isShort ? "👍" : "👎")));
  return isShort;
}

/** One channel after the other, so that the edits of answers under way share out over the channels' rate limits. */
function deal({ people, channels, questions }: Parameters<typeof askAndVote>[1]): Ask[] {
  return questions.flatMap((question, index) =>
    channels.map((channel, shift) => ({
      asker: at(people, index + shift * ASKER_SHIFT),
      channel,
      question,
    })),
  );
}

function pickVoters(people: readonly string[], asker: string, random: SeededRandom): string[] {
  const start = Math.floor(random.uniform() * people.length);
  const others = people.filter((person) => person !== asker);
  return [asker, ...Array.from({ length: VOTERS - 1 }, (_, index) => at(others, start + index))];
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index % list.length];
  if (item === undefined) throw new Error("expected a list with something in it");
  return item;
}
