/** The losses of preference pairs by name, with their settings checked. Pure. */
import {
  hingeDpoLoss,
  ipoLoss,
  lengthNormalisedDpoLoss,
  robustDpoLoss,
  sigmoidDpoLoss,
} from "./dpo.ts";
import { orpoLoss } from "./orpo.ts";
import { type PairLogps, type PairLoss, withChosenNll } from "./pair.ts";
import { simpoLoss } from "./simpo.ts";

/** By TRL's names (`loss_type`); conservative DPO is `sigmoid` with label smoothing, LD-DPO one with `ldAlpha`. */
export type PairLossName =
  | "sigmoid"
  | "robust"
  | "hinge"
  | "ipo"
  | "sigmoid_norm"
  | "orpo"
  | "simpo";

/** What a pair's loss is made of. */
export type PairLossOptions = {
  readonly loss: PairLossName;
  /** Above 0; what it means differs, see each loss. */
  readonly beta: number;
  /** Chance that a label is flipped, [0, 0.5): `sigmoid` (then conservative DPO) and `robust` only. */
  readonly labelSmoothing: number;
  /** Weight of the chosen's own NLL per token, 0 or more; 0 leaves it out. */
  readonly rpoAlpha: number;
  /** What tokens beyond the other completion's length count, [0, 1]; below 1 with summed log-ratios only. */
  readonly ldAlpha: number;
  /** SimPO's target margin, 0 or more; read by `simpo` only. */
  readonly simpoGamma: number;
};

/** Whether a loss never looks at the reference model. */
export function isReferenceFree(loss: PairLossName): boolean {
  return loss === "orpo" || loss === "simpo";
}

/** The pair's loss that the options name. */
export function pairLoss(logps: PairLogps, options: PairLossOptions): PairLoss {
  return withChosenNll(preferenceTerm(logps, options), logps, options.rpoAlpha);
}

/** Without the NLL term that may be added to any. */
function preferenceTerm(logps: PairLogps, options: PairLossOptions): PairLoss {
  switch (options.loss) {
    case "sigmoid":
      return sigmoidDpoLoss(logps, options);
    case "robust":
      return robustDpoLoss(logps, options);
    case "hinge":
      return hingeDpoLoss(logps, options);
    case "ipo":
      return ipoLoss(logps, options);
    case "sigmoid_norm":
      return lengthNormalisedDpoLoss(logps, options);
    case "orpo":
      return orpoLoss(logps, options);
    case "simpo":
      return simpoLoss(logps, options);
  }
}

const SMOOTHED: readonly PairLossName[] = ["sigmoid", "robust"];
const SUMMED: readonly PairLossName[] = ["sigmoid", "robust", "hinge"];

/**
 * Refuses settings out of range, and those that the named loss would silently leave unread.
 * @throws RangeError
 */
export function assertPairLossOptions(options: PairLossOptions): void {
  const { loss, beta, labelSmoothing, rpoAlpha, ldAlpha, simpoGamma } = options;
  demand(beta > 0 && Number.isFinite(beta), "beta must be above 0", beta);
  demand(
    labelSmoothing >= 0 && labelSmoothing < 0.5,
    "labelSmoothing must lie in [0, 0.5)",
    labelSmoothing,
  );
  demand(rpoAlpha >= 0 && Number.isFinite(rpoAlpha), "rpoAlpha must be 0 or more", rpoAlpha);
  demand(ldAlpha >= 0 && ldAlpha <= 1, "ldAlpha must lie in [0, 1]", ldAlpha);
  demand(
    simpoGamma >= 0 && Number.isFinite(simpoGamma),
    "simpoGamma must be 0 or more",
    simpoGamma,
  );
  const smooths = labelSmoothing === 0 || SMOOTHED.includes(loss);
  demand(smooths, `labelSmoothing is for ${SMOOTHED.join(" and ")}, not ${loss}`, labelSmoothing);
  const desensitises = ldAlpha === 1 || SUMMED.includes(loss);
  demand(desensitises, `ldAlpha is for ${SUMMED.join(", ")}, not ${loss}`, ldAlpha);
}

function demand(holds: boolean, what: string, got: number): void {
  if (!holds) throw new RangeError(`${what}; got ${got}`);
}
