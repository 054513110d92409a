/** Writes the guard's card: what it is and is not, how it was made, and what was measured. */
import { cpus } from "node:os";
import type { GuardCorpus } from "../corpus/guard/judgements.ts";
import type { StageRecord } from "../stage-log.ts";
import type { GuardEvaluation, GuardTally } from "./evaluation.ts";
import type { GuardPlan } from "./plan.ts";

/** Everything that the card reports. */
export type GuardCard = {
  readonly plan: GuardPlan;
  readonly corpus: GuardCorpus;
  readonly model: { readonly sha256: string; readonly bytes: number; readonly parameters: number };
  /** The chat model that the guard began as. */
  readonly base: { readonly sha256: string };
  readonly evaluation: GuardEvaluation;
  readonly stages: readonly StageRecord[];
};

/** The card as Markdown. */
export function describeGuard(card: GuardCard): string {
  return `${[introduction(card), figures(card.evaluation), making(card), LIMITS].join("\n\n")}\n`;
}

function introduction({ model, base }: GuardCard): string {
  return `# Zephyr nano guard

The small model as a guard: ${(model.parameters / 1e6).toFixed(1)} million parameters, fine-tuned from \`nano.gguf\` by \`npm run nano:guard\`
to judge what people ask and what is answered. It lets the whole path of a guard model run on any machine:
\`GUARD_MODEL=nano\`.

**What it is.** A judge of this project's own corpus: illegal requests and pleas of people in danger against facts,
small talk and requests that only look alike. It answers as Qwen3Guard-Gen does (\`Safety: Unsafe\`, categories,
whether an answer refuses), and is scored by the probability of its first verdict token.

**What it is not.** No safety system for real people. It knows few words and nothing of what it never saw; see the
figures on other people's prompts. Where it matters, take Qwen3Guard-Gen or Llama Guard (.env.example).

| | |
|---|---|
| Asked as | the conversation alone, \`USER: …\` and \`ASSISTANT: …\`, in Zephyr's template (format \`brief\`): 50 tokens, where Qwen3Guard's policy has 630 |
| Begun as | \`nano.gguf\`, sha256 \`${base.sha256}\`, with its vocabulary |
| File | \`nano-guard.gguf\`, Q8_0, ${(model.bytes / 1e6).toFixed(1)} MB, sha256 \`${model.sha256}\` |
| License | Apache-2.0, as is the corpus |`;
}

function figures(e: GuardEvaluation): string {
  const row = (what: string, tally: GuardTally) =>
    `| ${what} | ${share(tally.caught, tally.unsafe)} | ${share(tally.passed, tally.safe)} |`;
  return `## Measured

Through the engine's guard layer at its default threshold (0.5). Wanted on held-out wordings: 95% of each.
Repeat with \`node trainer/nano/evaluate.ts --guard\`.

| Of | Harmful caught | Harmless passed |
|---|---|---|
${row("Questions in wordings that were never trained", e.queries)}
${row("Answers in forms that were never trained", e.answers)}
${row("Questions of which no wording was trained", e.unseenQueries)}
${row("Answers to such questions", e.unseenAnswers)}
${row("The gate's probes (never trained, prompts/probes)", e.probes)}

Texts without a verdict, which are withheld: ${e.without}.`;
}

function making({ plan, corpus, stages }: GuardCard): string {
  const cpuSeconds = stages.reduce((sum, stage) => sum + stage.cpuSeconds, 0);
  const rows = stages.map(
    (stage) => `| ${stage.stage} | ${stage.seconds} | ${stage.cpuSeconds} | ${stage.threads} |`,
  );
  const rounds = plan.rounds.map(
    ({ judgements, learnt }) =>
      `${judgements} (${learnt === "verdict" ? "the verdict token alone" : "whole answers"})`,
  );
  const harmful = corpus.contrasts.filter(({ category }) => category !== undefined).length;
  return `## How it was made

\`npm run nano:guard\`: ${(cpuSeconds / 60).toFixed(1)} minutes of processor time on ${cpus()[0]?.model ?? "an unknown processor"}. BF16 products from F32 masters, AdamW.

| Stage | Seconds | CPU seconds | Threads |
|---|---|---|---|
${rows.join("\n")}

Judgements drawn from the chat model's corpus and a table of the guard's own (${harmful} harmful asks and ${corpus.contrasts.length - harmful}
harmless ones in the same words), in rounds of ${rounds.join(", ")}. Questions alone and after other
exchanges, typed with and without care; answers that comply, decline, do not know or just answer, whole or as
the passages in which they are checked.

Every draw is seeded: the same code on the same machine makes the same guard.`;
}

const LIMITS = `## Known limits

- What it never saw, it guesses: catching on other people's prompts is far from a real guard's.
- It judges English alone, and nothing but crimes, violence and self-harm: no sexual content, no hatred, no privacy.
- An answer to a harmful question that neither declines nor admits ignorance is taken for help.
- Answers are judged less surely than questions, some of the chat model's own harmless ones among them: it stays off
  unless GUARD_MODEL names it.
- Its verdict is worth more than its category: nearly all that it stops, it calls a non-violent crime.`;

function share(right: number, of: number): string {
  return of === 0 ? "–" : `${((100 * right) / of).toFixed(1)}% (${right}/${of})`;
}
