/**
 * ORPO and SimPO against TRL's own methods of them: losses and gradients of log-probabilities drawn at random. TRL keeps
 * both under experimental, with trainers of other batches than DPOTrainer's, so no model is trained.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";
import { SeededRandom } from "#trainer/data/random.ts";
import { orpoLoss } from "#trainer/losses/orpo.ts";
import type { PairLoss } from "#trainer/losses/pair.ts";
import { simpoLoss } from "#trainer/losses/simpo.ts";

const SCRIPT = join(import.meta.dirname, "trl_losses.py");
const PAIRS = 200;
const BETA = 2;
const GAMMA = 0.8;
/** Gradients near 0 are compared as if they were this large. */
const LEAST = 1e-2;

const answerSchema = z.object({
  losses: z.array(z.number()),
  gradients: z.array(z.tuple([z.number(), z.number()])),
});
const answersSchema = z.object({ orpo: answerSchema, simpo: answerSchema });

/** The largest relative difference of a loss and of a gradient, by the loss's name. */
export function comparePureLosses(
  python: string,
): Readonly<Record<"orpo" | "simpo", { loss: number; gradient: number }>> {
  const random = SeededRandom.from(7);
  const pairs = Array.from({ length: PAIRS }, () => drawPair(random));
  const input = JSON.stringify({
    sums: pairs.map((pair) => [pair.policyChosenLogp, pair.policyRejectedLogp]),
    tokens: pairs.map((pair) => [pair.chosenTokens, pair.rejectedTokens]),
    beta: BETA,
    gamma: GAMMA,
  });
  const { status, stdout, stderr } = spawnSync(python, [SCRIPT], { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`TRL's side failed:\n${stderr}`);
  const theirs = answersSchema.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  const settings = { beta: BETA, simpoGamma: GAMMA };
  return {
    orpo: distance(
      pairs.map((pair) => orpoLoss(pair, settings)),
      theirs.orpo,
    ),
    simpo: distance(
      pairs.map((pair) => simpoLoss(pair, settings)),
      theirs.simpo,
    ),
  };
}

/** Means per token from −0.05 to −3. */
function drawPair(random: SeededRandom) {
  const [chosenTokens, rejectedTokens] = [1 + random.below(60), 1 + random.below(60)];
  const sum = (tokens: number) => -tokens * (0.05 + 2.95 * random.uniform());
  return {
    policyChosenLogp: sum(chosenTokens),
    policyRejectedLogp: sum(rejectedTokens),
    referenceChosenLogp: 0,
    referenceRejectedLogp: 0,
    chosenTokens,
    rejectedTokens,
  };
}

function distance(own: readonly PairLoss[], theirs: z.infer<typeof answerSchema>) {
  const relative = (a: number, b = Number.NaN) => Math.abs(a - b) / Math.max(LEAST, Math.abs(b));
  const gradients = own.flatMap((loss, i) => [
    relative(loss.policyChosenGradient, theirs.gradients[i]?.[0]),
    relative(loss.policyRejectedGradient, theirs.gradients[i]?.[1]),
  ]);
  return {
    loss: Math.max(...own.map(({ loss }, i) => relative(loss, theirs.losses[i]))),
    gradient: Math.max(...gradients),
  };
}
