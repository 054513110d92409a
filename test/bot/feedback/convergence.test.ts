/**
 * CONVERGENCE_RUNS permutations, 5,000 when unset; `npm run test:convergence` tries 100,000.
 * Two logs live through many stories, each with names of its own: opening a log costs more than a story.
 */
import { randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FeedbackCapture } from "#bot/feedback/capture.ts";
import { GatewayOrder } from "#bot/feedback/gateway-order.ts";
import { createLog } from "#engine/base/log.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";
import type { RecordedExchange } from "#trainer/feedback/recorded.ts";
import { standingVotes } from "#trainer/feedback/records.ts";

const runs = Number(process.env["CONVERGENCE_RUNS"] ?? 5_000);
/** A log is let go after so many stories, and read as a whole. */
const STORIES_A_LOG = 250;
const log = createLog("test", "silent");
const clock = { nowMs: () => 1_000, monotonicMs: () => 0 };

const answer = fc.constantFrom("0", "1");
const who = fc.constantFrom("mira", "aiko");
const value = fc.constantFrom<(1 | -1)[]>(1, -1);
const emoji = fc.constantFrom("👍", "👎", "👍🏽", "🎉");
const happening = fc.oneof(
  fc.record({ kind: fc.constant("create" as const), answer }),
  fc.record({ kind: fc.constantFrom("edit" as const, "delete" as const), answer }),
  fc.record({ kind: fc.constantFrom("made" as const, "withdrawn" as const), answer, who, emoji }),
  fc.record({
    kind: fc.constant("cleared" as const),
    answer,
    emoji: fc.option(emoji, { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("vote" as const), answer, who, value }),
  fc.record({ kind: fc.constant("unvote" as const), answer, who }),
  fc.record({
    kind: fc.constant("rate" as const),
    answer,
    who,
    stars: fc.integer({ min: 1, max: 5 }),
  }),
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

/** Happenings in their order, and the order (with repetitions) in which they are delivered. */
const story = fc
  .array(happening, { minLength: 1, maxLength: 12 })
  .chain((happenings) =>
    fc.record({
      happenings: fc.constant(happenings),
      delivered: fc
        .shuffledSubarray([...Array(happenings.length * 2).keys()], {
          minLength: happenings.length,
        })
        .map((picked) => picked.map((index) => index % happenings.length)),
    }),
  )
  // Each is delivered once at least: what was left out comes at the end.
  .map(({ happenings, delivered }) => ({
    happenings,
    delivered: [...delivered, ...happenings.keys().filter((index) => !delivered.includes(index))],
  }));

type Names = Readonly<Record<"exchangeId" | "candidateId" | "messageId", string>>;

/** What an answer of the story with this number is called. */
function namesOf(story: number, answer: string): Names {
  const [exchangeId = "", candidateId = "", messageId = ""] = ["x", "c", "m"].map(
    (kind) => `${kind}${answer}.${story}`,
  );
  return { exchangeId, candidateId, messageId };
}

/** A log and what writes to it, for one story after another. */
class Stage implements Disposable {
  readonly #feedback = FeedbackLog.open(":memory:", clock);

  /** What the log holds of a story after these deliveries, without the times, which are the arrivals'. */
  play(story: number, happenings: readonly Happening[], delivered: readonly number[]): unknown {
    const feedback = this.#feedback;
    const capture = new FeedbackCapture({ feedback, pseudonymise: (id) => id, log });
    const order = new GatewayOrder();
    order.begin(`s${story}`);
    for (const index of delivered) {
      const one = happenings[index];
      if (one === undefined) continue;
      happen(feedback, capture, one, namesOf(story, one.answer), order.stamp(index + 1, 1_000));
    }
    const names = ["0", "1"].map((answer) => namesOf(story, answer));
    const events = names.flatMap(({ candidateId }) => feedback.eventsOf(candidateId));
    return {
      votes: standingVotes(events).map(({ atMs: _, ...vote }) => vote),
      events: events.map(({ id }) => id).sort(),
      exchanges: names.map(({ exchangeId }) => feedback.exchange(exchangeId)),
    };
  }

  /** What the log holds of all stories. */
  whole(): unknown {
    return {
      votes: this.#feedback.standing().map(({ atMs: _, ...vote }) => vote),
      events: [...this.#feedback.events()].map(({ id }) => id).sort(),
      exchanges: [...this.#feedback.exchanges()].sort(byId),
    };
  }

  [Symbol.dispose](): void {
    this.#feedback.close();
  }
}

function byId(a: RecordedExchange, b: RecordedExchange): number {
  return a.exchange.id < b.exchange.id ? -1 : 1;
}

function happen(
  feedback: FeedbackLog,
  capture: FeedbackCapture,
  one: Happening,
  { exchangeId, candidateId, messageId }: Names,
  stamp: { readonly id: string; readonly atMs: number },
): void {
  switch (one.kind) {
    case "create":
      feedback.recordExchange(exchangeOf(exchangeId), [candidateOf(candidateId, exchangeId)]);
      capture.shown(messageId, candidateId);
      break;
    // The question is no longer what was answered.
    case "edit":
      capture.deleted(exchangeId);
      break;
    case "delete":
      capture.deleted(messageId);
      break;
    case "made":
    case "withdrawn":
      capture.reaction({
        ...{ messageId, personId: one.who, emoji: one.emoji },
        ...{ action: one.kind, stamp },
      });
      break;
    case "cleared":
      capture.reactionsCleared(messageId, stamp, one.emoji);
      break;
    case "vote":
      capture.vote({ candidateId, personId: one.who, stamp }, one.value);
      break;
    case "unvote":
      capture.unvote({ candidateId, personId: one.who, stamp });
      break;
    case "rate":
      capture.rate({ candidateId, personId: one.who, stars: one.stars, stamp });
      break;
  }
}

function exchangeOf(id: string) {
  return {
    id,
    source: "playground" as const,
    guildId: "g",
    channelId: "channel",
    threadId: null,
    authorKey: "asker",
    messages: [{ role: "user" as const, content: "question" }],
    systemPromptSha256: "0".repeat(64),
    createdAtMs: 1,
  };
}

function candidateOf(id: string, exchangeId: string) {
  const rest = { text: "answer", adapter: null, sampling: {}, finishReason: "stop" };
  return { id, exchangeId, ...rest, createdAtMs: 1 };
}

/** Plays every story twice: as it was, and as it was delivered. */
function playBoth(seed: number, stories: number): void {
  using asItWas = new Stage();
  using asDelivered = new Stage();
  let number = 0;
  fc.assert(
    fc.property(story, ({ happenings, delivered }) => {
      number += 1;
      const expected = asItWas.play(number, happenings, [...happenings.keys()]);
      const found = asDelivered.play(number, happenings, delivered);
      // Quicker than `toEqual`, which then shows the difference.
      if (!isDeepStrictEqual(found, expected)) expect(found).toEqual(expected);
    }),
    { numRuns: stories, seed },
  );
  expect(asDelivered.whole()).toEqual(asItWas.whole());
}

test(
  "create, edit, delete, react, un-react, clear, vote and rating end in the same state in any order, however often delivered",
  () => {
    const seed = randomInt(2 ** 31);
    for (let done = 0; done < runs; done += STORIES_A_LOG) {
      playBoth((seed + done) | 0, Math.min(STORIES_A_LOG, runs - done));
    }
  },
  60_000 + runs * 60,
);

test("a clearing that overtakes the reaction that it takes away leaves no vote", () => {
  using stage = new Stage();
  const happenings: readonly Happening[] = [
    { kind: "create", answer: "0" },
    { kind: "made", answer: "0", who: "mira", emoji: "👍" },
    { kind: "cleared", answer: "0", emoji: undefined },
    { kind: "made", answer: "0", who: "aiko", emoji: "👎" },
  ];
  const votes = [{ candidateId: "c0.1", raterKey: "aiko", kind: "reaction", value: -1 }];
  expect(stage.play(1, happenings, [2, 3, 0, 1])).toMatchObject({ votes });
});
