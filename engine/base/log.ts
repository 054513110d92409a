/** Structured logs by pino: JSON lines on stderr, secrets redacted. Message text is never logged. */
import { destination, type Logger, pino } from "pino";

export type { Logger };

const SECRETS = ["token", "apiKey", "*.token", "*.apiKey", "headers.authorization"];

/**
 * A logger for one component.
 * @param level one of pino's levels, `silent` for none
 */
export function createLog(component: string, level: string): Logger {
  return pino(
    { level, base: { component }, redact: { paths: SECRETS, censor: "[redacted]" } },
    destination({ fd: 2, sync: true }),
  );
}
