/** Writes a folder that another trainer can take over from: rows by split, a data card, a recipe. */
import { join } from "node:path";
import { makeFolder, writeChunksAtomic, writeFileAtomic } from "#engine/base/atomic-file.ts";
import type { PreferencePair, RatedCompletion } from "../data/preference.ts";
import type { Hyperparameters } from "../nightly/hyperparameters.ts";
import { formatRecipe } from "./recipe.ts";
import { toTrlRow, toTrlUnpairedRow, toUltraFeedbackRow } from "./rows.ts";

/** The forms of rows that there are. */
export const EXPORT_FORMATS = ["trl", "trl-unpaired", "ultrafeedback"] as const;

/** One of them. */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What to write. */
export type ExportData = {
  readonly format: ExportFormat;
  readonly train: readonly PreferencePair[];
  readonly test: readonly PreferencePair[];
  /** The same as single answers, which may be more. */
  readonly trainCompletions: readonly RatedCompletion[];
  readonly testCompletions: readonly RatedCompletion[];
  readonly settings: Hyperparameters;
  readonly baseModel: string | null;
  readonly baseName: string;
};

/** How many rows went where. */
export type ExportedRows = { readonly train: number; readonly test: number };

/** UltraFeedback's own names of its splits; files of other names need the card to be found. */
const SPLITS = {
  trl: { train: "train", test: "test" },
  "trl-unpaired": { train: "train", test: "test" },
  ultrafeedback: { train: "train_prefs", test: "test_prefs" },
} as const;

/**
 * Writes `<split>.jsonl`, `README.md` and `recipe.yaml`.
 * @throws CodedError `disk_full`, `not_writable`
 */
export function writeExport(folder: string, data: ExportData): ExportedRows {
  makeFolder(folder, 0o700);
  const splits = SPLITS[data.format];
  const train = rowsOf(data.format, data.train, data.trainCompletions);
  const test = rowsOf(data.format, data.test, data.testCompletions);
  writeChunksAtomic(join(folder, `${splits.train}.jsonl`), lines(train));
  writeChunksAtomic(join(folder, `${splits.test}.jsonl`), lines(test));
  writeFileAtomic(join(folder, "README.md"), card(data, splits));
  writeFileAtomic(join(folder, "recipe.yaml"), formatRecipe({ ...data, folder, splits }));
  return { train: train.length, test: test.length };
}

function rowsOf(
  format: ExportFormat,
  pairs: readonly PreferencePair[],
  completions: readonly RatedCompletion[],
): readonly object[] {
  if (format === "trl") return pairs.map(toTrlRow);
  if (format === "ultrafeedback") return pairs.map(toUltraFeedbackRow);
  return completions.map(toTrlUnpairedRow);
}

function* lines(rows: readonly object[]): Generator<Uint8Array> {
  for (const row of rows) yield Buffer.from(`${JSON.stringify(row)}\n`);
}

function card(
  { format, baseName }: ExportData,
  splits: { readonly train: string; readonly test: string },
): string {
  const files = Object.values(splits).map(
    (split) => `  - split: ${split}\n    path: ${split}.jsonl`,
  );
  return `---
configs:
- config_name: default
  data_files:
${files.join("\n")}
---
# Preferences of one community

Exported for ${baseName} in the form "${format}". The training side holds fixed refusals beside people's own pairs;
keep them in. No prompt stands on both sides.

These are people's words. Whoever deletes theirs later is not deleted here: remove this folder when it has served,
and export again rather than keep it.
`;
}
