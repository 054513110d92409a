/**
 * Splits an answer into messages: code fences are closed and opened again with their language, and
 * cuts fall between paragraphs, lines, sentences or words where there are any, never inside a link.
 * Pure; it knows nothing of Discord beyond "so many characters a message" and of what a fence is.
 */

/** One message's share of an answer. The bodies of all parts, joined, are the answer's text. */
export type AnswerPart = {
  /** The fence that is opened again, or nothing. */
  readonly opening: string;
  readonly body: string;
  /** What closes a fence that is open at the body's end, or nothing. */
  readonly closing: string;
};

/** The shortest limit that leaves room for a fence with its language. */
const LEAST_LIMIT = 64;
const FENCE = "```";
/** A newline and a fence. */
const CLOSING_CHARACTERS = 4;
/** Longer words after a fence are taken for code, not for a language. */
const LANGUAGE_CHARACTERS = 20;
/** How far a hard cut steps back to keep a composed character (an emoji with joiners) whole. */
const GRAPHEME_CHARACTERS = 64;

/** A ``` in the text; an opening one includes its language and line end. */
type Mark = {
  readonly start: number;
  readonly end: number;
  /** undefined where it closes. */
  readonly language: string | undefined;
  /** Where more text could still change what it is. */
  readonly isUnfinished: boolean;
};

/**
 * Splits `text` into parts of at most `limit` UTF-16 units each, fences included.
 * A part that another one follows does not change while text is added at the end.
 * @param limit at least 64
 * @param reserve kept free in the last part, for what is put below the answer; limit − reserve ≥ 64
 * @returns no part for an empty text
 */
export function splitAnswer(text: string, limit: number, reserve = 0): readonly AnswerPart[] {
  if (limit - reserve < LEAST_LIMIT) {
    throw new RangeError(`limit: expected ${LEAST_LIMIT} or more, got ${limit - reserve}`);
  }
  const parts: AnswerPart[] = [];
  let language: string | undefined;
  for (let start = 0; start < text.length; ) {
    const opening = language === undefined ? "" : `${FENCE}${language}\n`;
    const room = limit - opening.length - CLOSING_CHARACTERS;
    const rest = text.slice(start);
    const window = rest.slice(0, rest.length <= room ? room - reserve : room);
    const body = window.length === rest.length ? rest : rest.slice(0, chooseCut(window, language));
    language = languageAfter(body, language);
    parts.push({ opening, body, closing: closingOf(body, language) });
    start += body.length;
  }
  return parts;
}

/** What a message with this part says. */
export function partContent(part: AnswerPart): string {
  return part.opening + part.body + part.closing;
}

function closingOf(body: string, language: string | undefined): string {
  if (language === undefined) return "";
  return body.endsWith("\n") ? FENCE : `\n${FENCE}`;
}

function languageAfter(body: string, before: string | undefined): string | undefined {
  const last = findMarks(body, before).at(-1);
  return last === undefined ? before : last.language;
}

/** All fences in `text`, which begins inside a block when `language` is given. */
function findMarks(text: string, language: string | undefined): readonly Mark[] {
  const marks: Mark[] = [];
  let isOpen = language !== undefined;
  for (let at = text.indexOf(FENCE); at !== -1; at = text.indexOf(FENCE, marks.at(-1)?.end ?? 0)) {
    marks.push(isOpen ? closingMark(at) : openingMark(text, at));
    isOpen = !isOpen;
  }
  return marks;
}

function closingMark(start: number): Mark {
  return { start, end: start + FENCE.length, language: undefined, isUnfinished: false };
}

/** As Discord reads it: a language counts only when a line end follows it at once. */
function openingMark(text: string, start: number): Mark {
  const after = start + FENCE.length;
  const word = /^[a-z0-9_+\-.#]*/i.exec(text.slice(after, after + LANGUAGE_CHARACTERS))?.[0] ?? "";
  const end = after + word.length;
  if (text[end] === "\n") return { start, end: end + 1, language: word, isUnfinished: false };
  return { start, end: after, language: "", isUnfinished: end === text.length };
}

/** Where to cut `window`, from 1 to its length. Depends on nothing behind the window. */
function chooseCut(window: string, language: string | undefined): number {
  const marks = findMarks(window, language);
  const isAllowed = (at: number) => at > 0 && !isInsideMark(marks, at) && !isInsideLink(links, at);
  const links = findLinks(window);
  const isText = (at: number) => isAllowed(at) && !isInsideFence(marks, language, at);
  const half = window.length / 2;
  return (
    lastCut(window, /\n\n+/g, half, isText) ??
    lastCut(window, /\n/g, window.length / 4, (at) => isText(at) && !isInsideList(window, at)) ??
    lastCut(window, /\n/g, half, isText) ??
    lastCut(window, /\n/g, half, isAllowed) ??
    lastCut(window, /[.!?…][)"'”’]*\s/g, half, isText) ??
    lastCut(window, /\s+/g, window.length / 4, isAllowed) ??
    hardCut(window, marks)
  );
}

function lastCut(
  window: string,
  pattern: RegExp,
  least: number,
  isAllowed: (at: number) => boolean,
): number | undefined {
  const cuts = [...window.matchAll(pattern)].map((match) => match.index + match[0].length);
  return cuts.findLast((at) => at >= least && isAllowed(at));
}

/** Also right behind an opening fence: an empty block would be shown as three backticks. */
function isInsideMark(marks: readonly Mark[], at: number): boolean {
  return marks.some((mark) =>
    mark.language === undefined
      ? at > mark.start && at < mark.end
      : at > mark.start && (at <= mark.end || mark.isUnfinished),
  );
}

function isInsideFence(marks: readonly Mark[], language: string | undefined, at: number): boolean {
  const last = marks.findLast((mark) => mark.end <= at);
  return (last === undefined ? language : last.language) !== undefined;
}

const LIST_ITEM = /^\s*(?:[-*+]|\d{1,4}[.)])\s/;

/** Between two items of a list, or an item and its indented lines. */
function isInsideList(window: string, at: number): boolean {
  const before = window.slice(window.lastIndexOf("\n", at - 2) + 1, at);
  const after = window.slice(at, at + GRAPHEME_CHARACTERS);
  const isListed = (line: string) => LIST_ITEM.test(line) || /^ {2,}\S/.test(line);
  return isListed(before) && (after === "" || isListed(after));
}

/** `[text](address)` from start to end; the last may be cut off by the window's end. */
function findLinks(window: string): readonly { readonly start: number; readonly end: number }[] {
  const pattern = /\[[^[\]\n]*(?:\]\([^)\s]*\)|\]\([^)\s]*$|\]?$)/g;
  return [...window.matchAll(pattern)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }));
}

function isInsideLink(links: ReturnType<typeof findLinks>, at: number): boolean {
  return links.some((link) => at > link.start && at <= link.end && link.start > 0);
}

/** No blank to cut at: keeps fences and composed characters whole. */
function hardCut(window: string, marks: readonly Mark[]): number {
  const end = window.length - (/`{0,2}$/.exec(window)?.[0].length ?? 0);
  const mark = marks.find(({ start, end: markEnd, isUnfinished }) =>
    isUnfinished ? start > 0 : start < end && end < markEnd && start > 0,
  );
  if (mark !== undefined) return mark.start;
  const isBetweenTicks = end < window.length || marks.some((closed) => closed.end === end);
  return isBetweenTicks && end > 0 ? end : wholeCharacters(window);
}

function wholeCharacters(window: string): number {
  const tailStart = Math.max(0, window.length - GRAPHEME_CHARACTERS);
  const segments = [...new Intl.Segmenter().segment(window.slice(tailStart))];
  const lastStart = tailStart + (segments.at(-1)?.index ?? 0);
  if (lastStart > tailStart) return lastStart;
  return /[\ud800-\udbff]$/.test(window) ? window.length - 1 : window.length;
}
