/** Structured logs by pino: JSON lines on stderr, secrets redacted. Message text is never logged. */
import { destination, type Logger, pino } from "pino";

export type { Logger };

const SECRETS = [
  ...["token", "apiKey", "*.token", "*.apiKey", "headers.authorization"],
  // Errors of discord.js carry what was sent, and the address with an interaction's token.
  ...["err.requestBody", "err.requestData", "err.url", "err.cause.requestBody", "err.cause.url"],
];

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
