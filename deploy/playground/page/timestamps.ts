/** Discord's timestamps (`<t:1700000000:R>`) as words in the reader's own language. */

/** Units from the largest, in seconds. */
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

/** https://discord.com/developers/docs/reference#message-formatting-timestamp-styles */
const STYLES: Readonly<Record<string, Intl.DateTimeFormatOptions>> = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};

/** @param style one of Discord's letters; `R` is relative to `nowMs` */
export function timestampText(seconds: number, style: string, nowMs: number): string {
  if (style === "R") return relative(seconds - nowMs / 1_000);
  const format = STYLES[style] ?? STYLES["f"];
  return new Intl.DateTimeFormat(undefined, format).format(new Date(seconds * 1_000));
}

function relative(awaySeconds: number): string {
  const [unit, length] = UNITS.find(([, each]) => Math.abs(awaySeconds) >= each) ?? ["second", 1];
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  return format.format(Math.round(awaySeconds / length), unit);
}
