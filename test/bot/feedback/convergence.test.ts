/** CONVERGENCE_RUNS permutations, 300 when unset; `npm run test:convergence` tries 100,000. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { FeedbackCapture } from "#bot/feedback/capture.ts";
import { GatewayOrder } from "#bot/feedback/gateway-order.ts";
import { createLog } from "#engine/base/log.ts";
import { FeedbackLog } from "#trainer/feedback/log.ts";

const runs = Number(process.env["CONVERGENCE_RUNS"] ?? 300);
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

function happen(
  feedback: FeedbackLog,
  capture: FeedbackCapture,
  one: Happening,
  stamp: { readonly id: string; readonly atMs: number },
): void {
  const [exchangeId, candidateId, messageId] = ["x", "c", "m"].map((name) => name + one.answer);
  if (exchangeId === undefined || candidateId === undefined || messageId === undefined) return;
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
    case "withdrawn": {
      const change = { messageId, personId: one.who, emoji: one.emoji, action: one.kind, stamp };
      capture.reaction(change);
      break;
    }
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

/** What the log holds after these deliveries, without the times, which are the arrivals'. */
function stateAfter(happenings: readonly Happening[], delivered: readonly number[]): unknown {
  using feedback = FeedbackLog.open(":memory:", clock);
  const capture = new FeedbackCapture({ feedback, pseudonymise: (id) => id, log });
  const order = new GatewayOrder();
  order.begin("s");
  for (const index of delivered) {
    const one = happenings[index];
    if (one !== undefined) happen(feedback, capture, one, order.stamp(index + 1, 1_000));
  }
  return {
    votes: feedback.standing().map(({ atMs: _, ...vote }) => vote),
    events: [...feedback.events()].map(({ id }) => id).sort(),
    exchanges: [...feedback.exchanges()].sort((a, b) => (a.exchange.id < b.exchange.id ? -1 : 1)),
  };
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

test(
  "create, edit, delete, react, un-react, vote and rating end in the same state in any order, however often delivered",
  () => {
    fc.assert(
      fc.property(story, ({ happenings, delivered }) => {
        const inOrder = [...happenings.keys()];
        expect(stateAfter(happenings, delivered)).toEqual(stateAfter(happenings, inOrder));
      }),
      { numRuns: runs },
    );
  },
  60_000 + runs * 60,
);
