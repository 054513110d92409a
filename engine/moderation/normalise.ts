/**
 * Two views of people's text: `cleanInput`, which the model reads, and `foldWord`, which checks compare.
 * Only the fold applies NFKC and look-alikes: on what the model reads they would change the meaning
 * (x² would become x2), so it loses only what no one can see.
 */
import { resolveConfusablesTransformer, resolveLeetSpeakTransformer } from "obscenity";

/** Zero-width, bidi, tag (U+E0000–E007F) and variation-selector characters: invisible by definition. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
/** As above, less the joiners and selectors that emoji, Persian and Indic scripts need to look right. */
const INVISIBLE_IN_OUTPUT =
  /[\p{Default_Ignorable_Code_Point}--[\u200C\u200D\uFE0E\uFE0F]]|(?!\t|\n)\p{Cc}/gv;
const CONTROLS = /(?!\t|\n)\p{Cc}/gu;
/** More than this many combining marks on one letter are decoration meant to break layouts. */
const STACKED_MARKS = /(\p{M}{4})\p{M}+/gu;

/** Turn markers of chat templates: `<|user|>`, `<|im_start|>`, `[INST]`, `<<SYS>>`, `</s>` and their kin. */
const PIPE_MARKER = /<\|(?=[\p{L}\p{N}_ ]{1,40}\|>)/gu;
const TAG_MARKER = /<(?=\/?s>|\/?SYS>|start_of_turn>|end_of_turn>|unk>|pad>)/gi;
const BRACKET_MARKER = /\[(?=\/?INST\])/gi;

/**
 * Text as the model may read it: well-formed, composed (NFC), nothing invisible, and no turn markers,
 * which get a space inside so that a person reads them and the model does not. Idempotent.
 */
export function cleanInput(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/\r\n?/g, "\n")
    .replaceAll(INVISIBLE, "")
    .replaceAll(CONTROLS, "")
    .normalize("NFC")
    .replaceAll(STACKED_MARKS, "$1")
    .replaceAll(PIPE_MARKER, "< |")
    .replaceAll(TAG_MARKER, "< ")
    .replaceAll(BRACKET_MARKER, "[ ");
}

/** Generated text without characters that hide or reorder what people see. Works on any piece of it. */
export function cleanOutput(piece: string): string {
  return piece.replaceAll(INVISIBLE_IN_OUTPUT, "");
}

/** A word as checks compare it: NFKC, look-alikes resolved, no marks, lower case. */
export function foldWord(word: string): string {
  const plain = word.replaceAll(INVISIBLE, "").normalize("NFKC");
  const latin = isAscii(plain) ? plain : mapCodePoints(plain, resolveConfusable);
  return latin.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();
}

/** A folded word with digits and symbols read as the letters that they stand in for: `h4t3` → `hate`. */
export function foldLeet(folded: string): string {
  return mapCodePoints(folded, resolveLeet);
}

/** A word with digits or signs between its letters; `mp3` and `3d` are none. */
const MIXED_WORD = /[a-z0-9@$]*[a-z][0-9@$]+[a-z][a-z0-9@$]*/g;
/** A single letter that begins the next word, as in `b u i l d a b0mb`, is not one of them. */
const LETTERS_APART = /(?<![a-z0-9@$])[a-z0-9@$]([ ._*-])(?:[a-z0-9@$]\1){2,}[a-z](?![a-z0-9@$])/g;

/**
 * Text for a small model that knows few words: in one case, without look-alikes or marks, digits and signs inside
 * words read as letters (`b0mb`), letters that stand apart joined (`b o m b`). Numbers stay.
 */
export function plainReading(text: string): string {
  return foldWord(text)
    .replaceAll(LETTERS_APART, (word) => word.replaceAll(/[ ._*-]/g, ""))
    .replaceAll(MIXED_WORD, foldLeet);
}

/** Letters of other alphabets within a Latin word, and letters that are set as symbols. */
const FOREIGN_LETTERS =
  /\p{Script=Latin}[\p{Script=Cyrillic}\p{Script=Greek}]|[\p{Script=Cyrillic}\p{Script=Greek}]\p{Script=Latin}|[\uFF21-\uFF3A\uFF41-\uFF5A\u24B6-\u24E9\u{1D400}-\u{1D7FF}]/u;

/** Whether `plainReading` shows words that a model may not see in the text; accents and capitals hide none. */
export function isDisguised(text: string): boolean {
  return FOREIGN_LETTERS.test(text) || plainReading(text) !== foldWord(text);
}

type CodePointMap = (codePoint: number) => number | undefined;
const resolveConfusable: CodePointMap = resolveConfusablesTransformer().transform;
const resolveLeet: CodePointMap = resolveLeetSpeakTransformer().transform;

function mapCodePoints(text: string, map: CodePointMap): string {
  let mapped = "";
  for (const character of text) {
    const codePoint = map(character.codePointAt(0) ?? 0);
    if (codePoint !== undefined) mapped += String.fromCodePoint(codePoint);
  }
  return mapped;
}

function isAscii(text: string): boolean {
  // Anything above U+007F takes the slow path.
  return !/[^\0-\x7f]/.test(text);
}
