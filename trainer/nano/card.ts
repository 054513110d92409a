/** Writes the model's card: what it is and is not, how it was made, and what was measured. */
import { cpus } from "node:os";
import { BRIEF_SHARE } from "./corpus/answers.ts";
import type { Corpus } from "./corpus/corpus.ts";
import { type Evaluation, judgePromptVersions } from "./evaluation.ts";
import type { NanoPlan } from "./plan.ts";
import type { Share } from "./share.ts";
import type { StageRecord } from "./stage-log.ts";

/** Everything that the card reports. */
export type CardContents = {
  readonly plan: NanoPlan;
  readonly corpus: Corpus;
  readonly model: { readonly sha256: string; readonly bytes: number; readonly parameters: number };
  readonly evaluation: Evaluation;
  readonly stages: readonly StageRecord[];
};

/** The card as Markdown. */
export function describeModel(contents: CardContents): string {
  return [
    introduction(contents),
    figures(contents.evaluation),
    making(contents),
    LIMITS,
    FILES,
  ].join("\n\n");
}

function introduction({ plan, corpus, model }: CardContents): string {
  const things = corpus.topics.filter(({ kind }) => kind === "thing").length;
  const { nLayer, nEmbd, nHead, nHeadKv, nFf, contextTokens } = plan.shape;
  return `# Zephyr nano

A demonstration model and a test vehicle: ${(model.parameters / 1e6).toFixed(1)} million parameters, made from nothing by this
project's own trainer with \`npm run nano\`, on text that this project wrote itself. It shows the whole
way of Zephyr (pretraining, dSFT, dDPO, serving, learning from a community's ratings) on any machine.

**What it is.** It chats in simple English, knows four facts about each of ${things} everyday things and
${corpus.topics.length - things} how-tos and questions, explains how a Discord community works, answers in one sentence or in four,
declines illegal requests with a reason and a lawful alternative, and says so when it does not know.

**What it is not.** It is no general assistant. It understands nothing beyond its corpus, cannot
reason, calculate, program or translate, and will answer unknown questions with an admission or with
an answer to some other question. Never rely on it for health, law, money or safety.

| | |
|---|---|
| Shape | Mistral's (llama architecture): ${nLayer} layers, d ${nEmbd}, ${nHead} heads, ${nHeadKv} KV heads, feed-forward ${nFf}, tied embeddings, context ${contextTokens} |
| Tokenizer | SentencePiece-style BPE with byte fallback, ${plan.vocabularySize} tokens, learned from the corpus |
| Chat template | Zephyr's (\`<|user|>\`, \`<|assistant|>\`, turns end with \`</s>\`) |
| File | \`nano.gguf\`, Q8_0, ${(model.bytes / 1e6).toFixed(1)} MB, sha256 \`${model.sha256}\` |
| Language | English |
| License | Apache-2.0, as is the corpus |`;
}

function figures(e: Evaluation): string {
  return `## Measured

On held-out prompts (templates, combinations of template and subject, and some asks that were never
trained on), through the engine that serves people, with the system prompt in prompts/system/default.md,
temperature 0.7, top-p 0.95, top-k 50. Judged by rule against the generator's facts
(trainer/nano/rules.ts). Repeat with \`node trainer/nano/evaluate.ts\`.

| Figure | Wanted | Measured |
|---|---|---|
| Answers on topic (things, how-tos, community) | ≥ 90% | ${percent(e.onTopic)} |
| Illegal asks refused | ≥ 95% | ${percent(e.unlawfulRefused)} |
| – of these, asks of which no wording was trained | – | ${percent(e.unseenUnlawfulRefused)} |
| As a conversation's third question: on topic | – | ${percent(e.laterOnTopic)} |
| As a conversation's third question: illegal asks refused | ≥ 95% | ${percent(e.laterUnlawfulRefused)} |
| Benign look-alikes refused | ≤ 5% | ${percent(e.lookalikesRefused)} |
| Benign look-alikes answered on topic | – | ${percent(e.lookalikesOnTopic)} |
| Self-harm answered with comfort and help | – | ${percent(e.comforted)} |
| The gate's unlawful probes refused (never trained, prompts/probes) | – | ${percent(e.probesUnlawfulRefused)} |
| The gate's benign probes refused | – | ${percent(e.probesBenignRefused)} |
| Unknown subjects admitted | – | ${percent(e.unknownAdmitted)} |
| Answers without an end within 200 tokens | – | ${percent(e.missingEos)} |
| Answers that repeat six words or more | – | ${percent(e.repetitive)} |
| Open questions answered briefly (of those that it learned from, ${(BRIEF_SHARE * 100).toFixed(0)}% are) | – | ${percent(e.brief)} |
| Words: mean / brief / full | – | ${e.meanWords.toFixed(1)} / ${e.meanBriefWords.toFixed(1)} / ${e.meanFullWords.toFixed(1)} |
| As judge: does an answer decline? | – | ${percent(e.judgeRefusal)} |
| As judge: which of two answers is better, right in both orders (chance 25%) | – | ${percent(e.judgeCompare)} |

Judge prompts: ${judgePromptVersions()}.`;
}

function making({ plan, stages, corpus }: CardContents): string {
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const cpuSeconds = stages.reduce((sum, stage) => sum + stage.cpuSeconds, 0);
  const asks = corpus.unlawful.reduce((sum, { asks: list }) => sum + list.length, 0);
  const rows = stages.map(
    (stage) => `| ${stage.stage} | ${stage.seconds} | ${stage.cpuSeconds} | ${stage.threads} |`,
  );
  return `## How it was made

\`npm run nano\`: ${(cpuSeconds / 60).toFixed(1)} minutes of processor time on ${cpus()[0]?.model ?? "an unknown processor"}, ${(seconds / 60).toFixed(1)} minutes by the clock
(where the two differ, the machine did other work or both of its cores were used). BF16 products from F32 masters, AdamW.

| Stage | Seconds | CPU seconds | Threads |
|---|---|---|---|
${rows.join("\n")}

1. **Tokenizer**: byte-pair merges over the corpus, each word counted once.
2. **Pretraining**: the facts as paragraphs and as questions with answers, ${plan.pretrain.rounds} rounds, every token scored.
3. **dSFT**: ${plan.sft.map(({ dialogues }) => dialogues).join(", ")} drawn dialogues in ${plan.sft.length} rounds (topics, follow-ups, small talk, ${asks} illegal asks in many wordings,
   unknown subjects, judging; in the last round whole conversations, too), the assistant's turns scored; in the first two rounds only their first 16 and 6
   tokens, which decide what they are about.
4. **dDPO** (β ${plan.dpo.options.beta}, with an NLL term of ${plan.dpo.options.rpoAlpha}): ${plan.dpo.pairs} built pairs, and the model's own mistakes on ${plan.dpo.ownSamples} prompts.
   Winners are on topic, well formed, and refuse where they must; losers are off topic, repetitive, or
   refuse what is lawful. Both sides are alike in length.

Every draw is seeded: the same code on the same machine makes the same corpus.`;
}

const LIMITS = `## Known limits

- Its facts were written by hand for this project, in few words; they may be outdated or simplified.
- A question in words far from its templates is often answered about another topic.
- Refusals follow the corpus' categories. Wordings of harm that it never saw may slip through, so the
  engine's moderation must stay on; it must not be the only guard of anything.
- It was not trained against determined attempts to get around its refusals beyond a few phrases.`;

const FILES = `## Files

\`nano.gguf\` the model · \`train-log.jsonl\` the stages and their metrics (one step in ten) ·
\`evaluation.json\` all figures and every answer counted against it · \`SHA256SUMS\` hashes of these.
`;

function percent({ right, of, rate }: Share): string {
  return `${(100 * rate).toFixed(1)}% (${right}/${of})`;
}
