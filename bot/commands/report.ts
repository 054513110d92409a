/** The menu entry "Report this answer" as Discord gets it. Data only. */
import {
  ApplicationCommandType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ENGLISH } from "../language/english.ts";
import { ANYWHERE } from "./places.ts";

/** A report's longest text. */
export const REPORT_CHARACTERS = 1_000;

/** What an answer can be reported for; in words: the message `option.report.` and this. */
export const REPORT_CATEGORIES = [
  "illegal",
  "hate",
  "sexual",
  "private",
  "false",
  "other",
] as const;

/** One of them. */
export type ReportCategory = (typeof REPORT_CATEGORIES)[number];

/** The entry in a message's menu. */
export const reportMessageCommand = {
  type: ApplicationCommandType.Message,
  name: ENGLISH["menu.report"],
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
