/** Query parameters of listings, checked. */
import { fieldError } from "../world/discord-error.ts";

/** How many things to list. @throws DiscordError 50035 outside 1–`most` */
export function readLimit(given: string | undefined, fallback: number, most = 100): number {
  const limit = given === undefined ? fallback : Number(given);
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit;
  throw fieldError(["limit"], "NUMBER_TYPE_RANGE", `int value should be between 1 and ${most}.`);
}

/** An id to list from. @throws DiscordError 50035 when it is none */
export function readId(name: string, given: string | undefined): string | undefined {
  if (given === undefined || /^\d{1,19}$/.test(given)) return given;
  throw fieldError([name], "NUMBER_TYPE_COERCE", `Value "${given}" is not snowflake.`);
}

/** A number of one of Discord's lists. @throws DiscordError 50035 when it is none */
export function readNumber(name: string, given: string): number {
  if (/^\d{1,9}$/.test(given)) return Number(given);
  throw fieldError([name], "NUMBER_TYPE_COERCE", `Value "${given}" is not int.`);
}
