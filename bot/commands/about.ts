/** `/help` and `/status` as Discord gets them. Data only. */
import type { RESTPostAPIApplicationCommandsJSONBody } from "discord-api-types/v10";
import { described } from "./described.ts";
import { ANYWHERE } from "./places.ts";

/** `/help`. */
export const helpCommand = {
  name: "help",
  ...described("command.help"),
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** `/status`. */
export const statusCommand = {
  name: "status",
  ...described("command.status"),
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
