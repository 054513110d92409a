/**
 * The first stage of a run: the feedback log becomes the run's data set, with the bare model as judge
 * and the engine's moderation as screen. It knows nothing of how the data is learnt.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Backend, ChatMessage } from "#engine/backends/backend.ts";
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import type { Config } from "#engine/base/config.ts";
import { CodedError } from "#engine/base/errors.ts";
import { compileLexicon, readBlocklist } from "#engine/moderation/lexical.ts";
import { Moderation } from "#engine/moderation/moderator.ts";
import { loadAnchors, loadPrompt } from "#prompts/load.ts";
import type { PreferencePair } from "../data/preference.ts";
import { ConsentBook, learningRefusal } from "../feedback/consent.ts";
import { FeedbackLog } from "../feedback/log.ts";
import { modelCompareJudge } from "../judge/compare-judge.ts";
import { generateAnswer, SERVED_TEMPERATURE } from "../judge/generation.ts";
import { makeAnchors } from "../pairs/anchors.ts";
import { type Feedback, ratedPrompts } from "../pairs/answers.ts";
import { compareAnswers } from "../pairs/compare.ts";
import {
  buildDataset,
  countDrops,
  type Dataset,
  type DatasetOptions,
  describeDrops,
  readDataset,
  type StoredDataset,
  storeDataset,
} from "../pairs/dataset.ts";
import { loneAnswers } from "../pairs/lone.ts";
import type { RowSeal } from "../pairs/sealed-rows.ts";
import { HELD_OUT_MIN_PAIRS } from "../pairs/split.ts";
import { readFeedback } from "./read-feedback.ts";
import { answerTokens, openBackend, openRefusalJudge, type Surroundings } from "./surroundings.ts";

/** A run's data set with the fixed refusal pairs that go with it. */
export type RunData = StoredDataset & { readonly anchors: readonly PreferencePair[] };

/** Comparisons with fresh answers a night. */
const FRESH_LIMIT = 200;
/** Of all pairs, those that one person may decide … */
const RATER_SHARE = 0.1;
/** … and how many in any case, so that a community of one can teach its model. */
const RATER_FLOOR = 64;
const ANCHORS_FILE = "anchors.json";

const anchorsSchema = z.array(
  z.object({
    id: z.string(),
    prompt: z.array(
      z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() }),
    ),
    chosen: z.string(),
    rejected: z.string(),
    weight: z.number(),
  }),
);

/**
 * Builds the data set without storing it.
 * @throws CodedError `data_too_small` with counts and reasons, before any model is loaded if it can
 */
export async function buildData(
  at: Surroundings,
): Promise<{ dataset: Dataset; anchors: readonly PreferencePair[] }> {
  const feedback = readFeedback(at.config, at.clock.nowMs());
  assertWorthwhile(feedback, at.config);
  at.say("Comparing answers …");
  await using backend = await openBackend(at);
  const { judge: refuses } = await openRefusalJudge(backend, at.signal);
  const dataset = await buildDataset(feedback, datasetOptions(at, backend, refuses));
  assertEnough(dataset, at.config.TRAIN_MIN_PAIRS);
  const anchors = await makeAnchors(
    {
      backend,
      systemPrompt: at.systemPrompt.text,
      refuses,
      ...loadAnchors(),
      maxTokens: answerTokens(at.config),
      signal: at.signal,
    },
    dataset.train.length,
  );
  return { dataset, anchors };
}

/** Writes a data set into a run's folder, people's words sealed. @throws CodedError `disk_full`, `database_failed` */
export function storeData(
  folder: string,
  { dataset, anchors }: Awaited<ReturnType<typeof buildData>>,
  seal: RowSeal,
): RunData {
  writeFileAtomic(join(folder, ANCHORS_FILE), `${JSON.stringify(anchors, null, 2)}\n`);
  return { ...storeDataset(folder, dataset, seal), anchors };
}

/** Reads it back. @throws CodedError `checkpoint_corrupt`, `erased_meanwhile` */
export function readData(folder: string, seal: RowSeal): RunData {
  const anchors = anchorsSchema.parse(JSON.parse(readFileSync(join(folder, ANCHORS_FILE), "utf8")));
  return { ...readDataset(folder, seal), anchors };
}

/**
 * Whether what went into the data set may still be learnt from: `gone` where some of it was deleted, voided
 * or refused since, `unsure` where that may have happened unheard.
 */
export function eligibility(
  data: Pick<RunData, "evidence">,
  { config, clock }: Pick<Surroundings, "config" | "clock">,
): "eligible" | "gone" | "unsure" {
  using log = FeedbackLog.openIn(config);
  using book = ConsentBook.openIfThere(config.DATA_DIR);
  const unsure = log.hearing.unsure(clock.nowMs());
  const isGone = (exchangeId: string, candidateIds: ReadonlySet<string>): boolean => {
    const found = log.exchange(exchangeId);
    if (found === undefined || found.deleted) return true;
    const { source, guildId, authorKey, participantKeys = [] } = found.exchange;
    const from = { source, guildId, personKeys: [authorKey, ...participantKeys] };
    if (learningRefusal(book, config, from) !== undefined) return true;
    return found.candidates.some(({ id, deleted }) => deleted && candidateIds.has(id));
  };
  const raters = new Set<string>();
  let isSure = true;
  for (const { exchangeIds, candidateIds, raterKeys } of data.evidence) {
    const used = new Set(candidateIds);
    if (exchangeIds.some((id) => isGone(id, used))) return "gone";
    if (exchangeIds.some((id) => unsure.has(id))) isSure = false;
    for (const rater of raterKeys) raters.add(rater);
  }
  // A rater without any vote that stands has withdrawn them, was banned, or wants to be forgotten.
  if ([...raters].some((rater) => log.standingOf(rater).length === 0)) return "gone";
  return isSure ? "eligible" : "unsure";
}

function datasetOptions(
  at: Surroundings,
  backend: Backend,
  refuses: DatasetOptions["screen"]["refuses"],
): DatasetOptions {
  const { signal, systemPrompt, config } = at;
  const moderation = new Moderation({
    lexicon: compileLexicon(
      config.BLOCKLIST_FILE === undefined ? [] : readBlocklist(config.BLOCKLIST_FILE),
    ),
    // A check that could not run withholds the text, and so the pair.
    onFailure: () => {},
  });
  const passes = async (messages: readonly ChatMessage[]) =>
    (await moderation.checkInput(messages, signal)).block === undefined;
  const answer = (messages: readonly ChatMessage[], temperature: number, seed: number) => {
    const system: ChatMessage = { role: "system", content: systemPrompt.text };
    return generateAnswer(
      backend,
      {
        messages: [system, ...messages],
        adapter: null,
        temperature,
        seed,
        maxTokens: answerTokens(at.config),
      },
      signal,
    );
  };
  const atOnce = backend.info.streams;
  return {
    takesLone: takesLone(config),
    nameOf: (id) => at.keys.digest(id).toString("hex").slice(0, id.length),
    cap: { share: RATER_SHARE, atLeast: Math.max(RATER_FLOOR, config.TRAIN_MIN_PAIRS) },
    fresh: {
      sample: (messages, seed) => answer(messages, SERVED_TEMPERATURE, seed),
      judge: modelCompareJudge(backend, loadPrompt("judge/compare"), signal),
      limit: FRESH_LIMIT,
      atOnce,
    },
    screen: {
      allowsPrompt: passes,
      allowsAnswer: (messages, content) => passes([...messages, { role: "assistant", content }]),
      bareAnswer: async (messages) => (await answer(messages, 0, 0)).text,
      refuses,
      atOnce,
    },
  };
}

/** Whether single answers are learnt from beside the pairs'. */
function takesLone({ TRAIN_LOSS, TRAIN_LONE_THUMBS }: Config): boolean {
  return TRAIN_LOSS === "kto" && TRAIN_LONE_THUMBS;
}

/** Even if every disliked answer gave a pair: fewer than are needed are told without loading a model. */
function assertWorthwhile(feedback: Feedback, config: Config): void {
  const rated = ratedPrompts(feedback);
  const { pairs, disliked, drops } = compareAnswers(rated.prompts);
  const single = takesLone(config) ? loneAnswers(rated.prompts, pairs).length : disliked.length;
  const most = pairs.length + single;
  const needed = config.TRAIN_MIN_PAIRS;
  if (most < needed)
    throw tooFew(most, needed, countDrops([...rated.drops, ...drops], feedback.left));
}

function assertEnough({ train, heldOut, lone, drops, left }: Dataset, needed: number): void {
  const found = train.length + heldOut.length + lone.length;
  const isSplit = train.length > 0 && heldOut.length >= HELD_OUT_MIN_PAIRS;
  if (found < needed || !isSplit) throw tooFew(found, needed, countDrops(drops, left));
}

function tooFew(
  found: number,
  needed: number,
  dropped: Readonly<Record<string, number>>,
): CodedError {
  return new CodedError(
    `Training needs at least ${needed} preference pairs on several prompts, the feedback gives ${found}. ${describeDrops(dropped)}. Ask, and rate answers with 👍, 👎 or /rate, then train again (TRAIN_MIN_PAIRS sets how many are needed).`,
    { code: "data_too_small" },
  );
}
