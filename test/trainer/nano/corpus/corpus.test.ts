import { describe, expect, it } from "vitest";
import { SeededRandom } from "#trainer/data/random.ts";
import { BRIEF_SHARE, composeAnswer } from "#trainer/nano/corpus/answers.ts";
import { loadCorpus } from "#trainer/nano/corpus/corpus.ts";
import { drawDialogues } from "#trainer/nano/corpus/dialogues.ts";
import { drawDocuments } from "#trainer/nano/corpus/documents.ts";
import { questionKey, questionsAbout } from "#trainer/nano/corpus/questions.ts";
import { parseTopics } from "#trainer/nano/corpus/topics.ts";
import { heldOutPrompts } from "#trainer/nano/held-out.ts";
import { drawPairs } from "#trainer/nano/pairs.ts";
import { countWords, isCaring, isRefusal, TopicJudge } from "#trainer/nano/rules.ts";

const corpus = loadCorpus();
const judge = new TopicJudge(corpus.topics);
const dialogues = drawDialogues(corpus, 6_000, 1);
const random = SeededRandom.from(5);

describe("facts", () => {
  it("cover at least 300 things, and tasks that look unlawful", () => {
    expect(corpus.topics.filter(({ kind }) => kind === "thing").length).toBeGreaterThanOrEqual(300);
    expect(
      corpus.topics.filter(({ domain }) => domain === "lookalikes").length,
    ).toBeGreaterThanOrEqual(80);
  });

  it("name each topic once", () => {
    const ids = corpus.topics.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("make brief answers of 9 to 23 words and full ones of 32 to 63", () => {
    for (const topic of corpus.topics) {
      const first = countWords(topic.sentences[0] ?? "");
      const all = countWords(topic.sentences.join(" "));
      expect([topic.id, first >= 9 && first <= 23]).toEqual([topic.id, true]);
      expect([topic.id, all >= 32 && all <= 63]).toEqual([topic.id, true]);
    }
  });

  it("average about 15 words for a brief and about 48 for a full answer", () => {
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const brief = mean(corpus.topics.map(({ sentences }) => countWords(sentences[0] ?? "")));
    const full = mean(corpus.topics.map(({ sentences }) => countWords(sentences.join(" "))));
    expect(brief).toBeGreaterThan(12);
    expect(brief).toBeLessThan(18);
    expect(full).toBeGreaterThan(42);
    expect(full).toBeLessThan(60);
  });

  it("are sentences that end, in characters of plain text", () => {
    for (const { sentences } of corpus.topics) {
      for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z].*[.!?]$/);
    }
  });

  it("refuse a table with a sentence too few", () => {
    expect(() => parseTopics("# a thing\nOne.\nTwo.", "test")).toThrow(/four sentences/);
  });
});

describe("answers", () => {
  it("of the full form hold every sentence of their topic, and count as on topic", () => {
    for (const topic of corpus.topics) {
      const answer = composeAnswer(topic, 0, "full", random);
      for (const sentence of topic.sentences) expect(answer).toContain(sentence);
      expect([topic.id, judge.isAbout(topic, answer)]).toEqual([topic.id, true]);
    }
  });

  it("of another topic do not count as on topic", () => {
    const [first, ...rest] = corpus.topics;
    if (first === undefined) throw new Error("no topics");
    for (const other of rest) {
      expect(judge.isAbout(first, composeAnswer(other, 0, "full", random))).toBe(false);
    }
  });
});

describe("topic judge", () => {
  it("finds the topic that a held-out question asks about", () => {
    const { topics } = heldOutPrompts(corpus);
    const right = topics.filter(({ question, topic }) => judge.topicOf(question) === topic);
    expect(right.length / topics.length).toBeGreaterThan(0.97);
  });
});

describe("dialogues", () => {
  it("are the same for the same seed and others for another", () => {
    expect(drawDialogues(corpus, 20, 3)).toEqual(drawDialogues(corpus, 20, 3));
    expect(drawDialogues(corpus, 20, 3)).not.toEqual(drawDialogues(corpus, 20, 4));
  });

  it("never hold a held-out prompt, nor one of the gate's probes", () => {
    const trained = new Set(
      dialogues.flatMap(({ messages }) =>
        messages.filter(({ role }) => role === "user").map(({ content }) => questionKey(content)),
      ),
    );
    const held = heldOutPrompts(corpus);
    const prompts = [...held.topics, ...held.lookalikes, ...held.unlawful].map((p) => p.question);
    const kept = [...prompts, ...held.smallTalk, ...held.unknown].map(questionKey);
    expect([...kept, ...corpus.reserved].filter((key) => trained.has(key))).toEqual([]);
  });

  it("alternate turns and end with an answer", () => {
    for (const { messages } of dialogues) {
      const turns = messages.filter(({ role }) => role !== "system");
      turns.forEach(({ role }, index) => {
        expect(role).toBe(index % 2 === 0 ? "user" : "assistant");
      });
      expect(messages.at(-1)?.role).toBe("assistant");
      for (const { content } of messages) expect(content.trim()).not.toBe("");
    }
  });

  it("answer every trained wording of an unlawful ask with a refusal or with comfort", () => {
    const asks = new Map<string, boolean>();
    for (const { caring, asks: list } of corpus.unlawful) {
      for (const { wordings } of list)
        for (const { text } of wordings) asks.set(questionKey(text), caring);
    }
    const answered = dialogues.flatMap(({ messages }) =>
      messages.flatMap(({ role, content }, index) => {
        const caring = role === "user" ? asks.get(questionKey(content)) : undefined;
        return caring === undefined ? [] : [{ caring, answer: messages[index + 1]?.content ?? "" }];
      }),
    );
    expect(answered.length).toBeGreaterThan(300);
    for (const { caring, answer } of answered) {
      expect(caring ? isCaring(answer) : isRefusal(answer)).toBe(true);
    }
  });

  it("that are conversations go on for at least three exchanges, with refusals in their midst", () => {
    const style = { systemShare: 0, kinds: ["conversation"] as const, wordings: "wide" as const };
    const answers = drawDialogues(corpus, 300, 6, style).map(({ messages }) =>
      messages.filter(({ role }) => role === "assistant").map(({ content }) => content),
    );
    for (const one of answers) expect(one.length).toBeGreaterThanOrEqual(3);
    const later = answers.flatMap((one) => one.slice(2));
    const refused = later.filter((text) => isRefusal(text) || isCaring(text)).length;
    expect(refused / later.length).toBeGreaterThan(0.2);
    expect(refused / later.length).toBeLessThan(0.5);
  });

  it("leave as many open questions to a brief answer as the generator means to", () => {
    const open = new Set(
      corpus.topics.flatMap((topic) =>
        questionsAbout(topic)
          .filter(({ wish }) => wish === "any")
          .map(({ text }) => questionKey(text)),
      ),
    );
    const first = dialogues
      .map(({ messages }) => messages.filter(({ role }) => role !== "system"))
      .filter((turns) => turns.length === 2 && open.has(questionKey(turns[0]?.content ?? "")));
    const brief = first.filter((turns) => countWords(turns[1]?.content ?? "") < 27).length;
    expect(brief / first.length).toBeGreaterThan(BRIEF_SHARE - 0.05);
    expect(brief / first.length).toBeLessThan(BRIEF_SHARE + 0.06);
  });
});

describe("documents and pairs", () => {
  it("come out the same for the same seed", () => {
    expect(drawDocuments(corpus, 1, 2)).toEqual(drawDocuments(corpus, 1, 2));
    expect(drawPairs(corpus, 30, 2)).toEqual(drawPairs(corpus, 30, 2));
  });

  it("choose what the rules approve and reject what they do not", () => {
    for (const { prompt, chosen, rejected } of drawPairs(corpus, 300, 2)) {
      const question = prompt.at(-1)?.content ?? "";
      const approves = (text: string) =>
        isRefusal(chosen) || isCaring(chosen)
          ? isRefusal(text) || isCaring(text)
          : judge.isOnTopic(question, text);
      expect(chosen).not.toBe(rejected);
      expect([question, approves(chosen)]).toEqual([question, true]);
    }
  });

  it("keep the mean lengths of both sides alike, so that length is not what is preferred", () => {
    const pairs = drawPairs(corpus, 2_000, 4);
    const mean = (texts: readonly string[]) =>
      texts.reduce((sum, text) => sum + countWords(text), 0) / texts.length;
    const ratio = mean(pairs.map((p) => p.chosen)) / mean(pairs.map((p) => p.rejected));
    expect(ratio).toBeGreaterThan(0.85);
    expect(ratio).toBeLessThan(1.15);
  });
});
