/** The menu entry "Report this answer" as Discord gets it. Data only. */
import {
  ApplicationCommandType,
  type RESTPostAPIApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { ANYWHERE } from "./places.ts";

/** A report's longest text. */
export const REPORT_CHARACTERS = 1_000;

/** What an answer can be reported for. */
export const REPORT_CATEGORIES = [
  { value: "illegal", label: "Helps with something illegal or dangerous" },
  { value: "hate", label: "Hateful, harassing or threatening" },
  { value: "sexual", label: "Sexual" },
  { value: "private", label: "Private data of a person" },
  { value: "false", label: "False or misleading" },
  { value: "other", label: "Something else" },
] as const;

/** The entry in a message's menu. */
export const reportMessageCommand = {
  type: ApplicationCommandType.Message,
  name: "Report this answer",
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
