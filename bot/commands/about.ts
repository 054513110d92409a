/** `/help` and `/status` as Discord gets them. Data only. */
import type { RESTPostAPIApplicationCommandsJSONBody } from "discord-api-types/v10";
import { ANYWHERE } from "./places.ts";

/** `/help`. */
export const helpCommand = {
  name: "help",
  description: "How to talk with this bot and how it learns",
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;

/** `/status`. */
export const statusCommand = {
  name: "status",
  description: "Which model and adapter answers, and how busy it is",
  ...ANYWHERE,
} satisfies RESTPostAPIApplicationCommandsJSONBody;
