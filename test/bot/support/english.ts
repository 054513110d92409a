/** The language that most tests read. */
import { Languages } from "#bot/language/languages.ts";

/** English. */
export const english = new Languages([]).english;
