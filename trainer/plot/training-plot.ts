/**
 * A run's figures as a picture beside their file: loss, and for preference losses the accuracy and the
 * rewards' margin, of training and evaluation. It reads numbers by TRL's names and computes none.
 */
import { writeFileAtomic } from "#engine/base/atomic-file.ts";
import { drawPanels, type Panel, type Series } from "./chart.ts";

/** A line of a run's metrics. */
type Line = { readonly step: number } & Readonly<Record<string, number>>;

/** Steps over which training's own figures, which jump from batch to batch, are averaged: a fortieth of the run. */
const SMOOTHING_SHARE = 1 / 40;
const CHANCE = 0.5;

/** Writes the SVG. @throws CodedError `disk_full` */
export function writeTrainingPlot(path: string, lines: readonly Line[]): void {
  writeFileAtomic(path, plotTraining(lines));
}

/** Panels for the figures that are there: an SFT run has a loss only. */
export function plotTraining(lines: readonly Line[]): string {
  const panels: Panel[] = [
    panel(lines, "Loss", "loss"),
    { ...panel(lines, "Preferences shared", "rewards/accuracies"), mark: CHANCE, range: [0, 1] },
    { ...panel(lines, "Reward margin", "rewards/margins"), mark: 0 },
  ];
  const [loss, ...others] = panels;
  const present = others.filter(({ series }) => series.some(({ points }) => points.length > 0));
  return drawPanels(loss === undefined ? present : [loss, ...present], "optimiser steps");
}

function panel(lines: readonly Line[], title: string, figure: string): Panel {
  const training = smoothed(pointsOf(lines, figure));
  const evaluation = pointsOf(lines, `eval_${figure}`);
  const series: Series[] = [
    { name: "training", points: training, dots: false },
    { name: "held out", points: evaluation, dots: evaluation.length <= 60 },
  ];
  return { title, series: series.filter(({ points }) => points.length > 0) };
}

function pointsOf(lines: readonly Line[], figure: string): (readonly [number, number])[] {
  return lines.flatMap((line) => {
    const value = line[figure];
    return value === undefined || !Number.isFinite(value) ? [] : [[line.step, value] as const];
  });
}

/** Means over windows around each point, shorter at the ends. */
function smoothed(points: readonly (readonly [number, number])[]): Series["points"] {
  const half = Math.floor((points.length * SMOOTHING_SHARE) / 2);
  const sums = [0];
  for (const [, y] of points) sums.push((sums.at(-1) ?? 0) + y);
  return points.map(([x], i) => {
    const reach = Math.min(half, i, points.length - 1 - i);
    const sum = (sums[i + reach + 1] ?? 0) - (sums[i - reach] ?? 0);
    return [x, sum / (2 * reach + 1)] as const;
  });
}
