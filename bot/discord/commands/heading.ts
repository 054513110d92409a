/** What was asked, above its answer. Pure. */

const HEADING_CHARACTERS = 200;

/** The question as a quotation of one line. */
export function headingOf(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").replaceAll("`", "'").trim();
  const short = [...line].slice(0, HEADING_CHARACTERS).join("");
  return `> ${short}${short.length < line.length ? "…" : ""}`;
}
