/** The children's logs (pino's JSON lines) as people read them. It knows nothing of what they log. */

/** pino's levels: https://github.com/pinojs/pino/blob/main/docs/api.md#logger-level */
const LEVELS: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warning",
  50: "error",
  60: "fatal",
};
/** Shown first, or not at all. */
const FRAME = ["level", "time", "component", "msg", "pid", "hostname"];

/** A logged line's parts; undefined for plain text. */
export function parseLogLine(
  line: string,
): { readonly level: number; readonly message: string; readonly text: string } | undefined {
  if (!line.startsWith("{")) return undefined;
  const record = parseRecord(line);
  if (record === undefined) return undefined;
  const level = Number(record["level"]);
  const rest = Object.entries(record).filter(([name]) => !FRAME.includes(name));
  const details = rest.map(([name, value]) => `${name}=${show(value)}`).join(" ");
  const message = [record["msg"], details]
    .filter((part) => part !== undefined && part !== "")
    .join(" ");
  const time = new Date(Number(record["time"])).toTimeString().slice(0, 8);
  const head = `${time} ${String(record["component"] ?? "")} ${LEVELS[level] ?? ""}`;
  return { level, message, text: `${head}: ${message}` };
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isRecord = typeof value === "object" && value !== null && "level" in value;
    return isRecord ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function show(value: unknown): string {
  if (typeof value === "object" && value !== null && "message" in value)
    return String(value.message);
  return typeof value === "string" ? value : JSON.stringify(value);
}
