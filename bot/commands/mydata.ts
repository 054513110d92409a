/** `/mydata` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType as Option,
  type RESTPostAPIChatInputApplicationCommandsJSONBody,
} from "discord-api-types/v10";
import { described } from "./described.ts";
import { ANYWHERE } from "./places.ts";

/** The subcommands' names. */
export const MYDATA = {
  show: "show",
  export: "export",
  forget: "forget",
  consent: "consent",
} as const;

/** The command. */
export const mydataCommand: RESTPostAPIChatInputApplicationCommandsJSONBody = {
  name: "mydata",
  ...described("command.mydata"),
  ...ANYWHERE,
  options: [
    { type: Option.Subcommand, name: MYDATA.show, ...described("command.mydata.show") },
    {
      type: Option.Subcommand,
      name: MYDATA.export,
      ...described("command.mydata.export"),
    },
    { type: Option.Subcommand, name: MYDATA.forget, ...described("command.mydata.forget") },
    {
      type: Option.Subcommand,
      name: MYDATA.consent,
      ...described("command.mydata.consent"),
      options: [
        {
          type: Option.Boolean,
          name: "learning",
          ...described("command.mydata.consent.learning"),
          required: true,
        },
      ],
    },
  ],
};
