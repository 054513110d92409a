/** `/mydata` as Discord gets it. Data only. */
import {
  ApplicationCommandOptionType as Option,
  type RESTPostAPIChatInputApplicationCommandsJSONBody,
} from "discord-api-types/v10";
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
  description: "What I keep of you: see it, take it with you, have it erased",
  ...ANYWHERE,
  options: [
    { type: Option.Subcommand, name: MYDATA.show, description: "How much I keep of you" },
    {
      type: Option.Subcommand,
      name: MYDATA.export,
      description: "Everything I keep of you, as a file",
    },
    { type: Option.Subcommand, name: MYDATA.forget, description: "Erase everything I keep of you" },
    {
      type: Option.Subcommand,
      name: MYDATA.consent,
      description: "Whether I may learn from what you ask and rate",
      options: [
        {
          type: Option.Boolean,
          name: "learning",
          description: "True: you may learn from me. False: you may not.",
          required: true,
        },
      ],
    },
  ],
};
