/**
 * The file `.env` in the working directory, and names in it that say nothing to anybody. Only the file: the environment
 * holds what other programs need, too.
 */
import { config as loadDotenv } from "dotenv";

/** More changed letters than this, and it is another word. */
const MOST_EDITS = 3;
/** Of a short word less: so much of it must be the same. */
const LEAST_ALIKE = 0.6;

/** A name in the file that is no setting. */
export type UnknownName = {
  readonly name: string;
  /** The setting that it is most like; undefined where it is like none. */
  readonly nearest: string | undefined;
};

/** What the file says; nothing where there is none. */
export function readEnvFile(): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  loadDotenv({ processEnv: values, quiet: true });
  return values;
}

/** Those of `names` that are no settings, in their order. */
export function unknownNames(
  names: readonly string[],
  settings: readonly string[],
): readonly UnknownName[] {
  return names
    .filter((name) => !settings.includes(name))
    .map((name) => ({ name, nearest: nearestOf(name, settings) }));
}

/** In a sentence. */
export function explainUnknownName({ name, nearest }: UnknownName): string {
  const meant = nearest === undefined ? "" : ` Did you mean ${nearest}?`;
  return `${name} in .env is no setting and changes nothing.${meant}`;
}

function nearestOf(name: string, settings: readonly string[]): string | undefined {
  const upper = name.toUpperCase();
  const [best] = settings
    .map((setting) => ({ setting, edits: editsBetween(upper, setting) }))
    .filter(({ setting, edits }) => {
      const length = Math.max(upper.length, setting.length);
      return edits <= MOST_EDITS && (length - edits) / length >= LEAST_ALIKE;
    })
    .sort((a, b) => a.edits - b.edits);
  return best?.setting;
}

/** Levenshtein's distance: letters to add, to leave out or to replace. https://en.wikipedia.org/wiki/Levenshtein_distance */
function editsBetween(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = (above[column] ?? 0) + (letter === other ? 0 : 1);
      const shorter = Math.min(above[column + 1] ?? 0, current[column] ?? 0) + 1;
      current.push(Math.min(replaced, shorter));
    }
    above = current;
  }
  return above[to.length] ?? 0;
}
