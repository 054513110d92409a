/**
 * Which commands, buttons, selects, menus, forms and completions there are, were shown by the bot, and were
 * used at the page: each by a name such as `/settings show`, `button vote:+:…` or `form rate:…`.
 */
import {
  ApplicationCommandType,
  ApplicationCommandOptionType as Option,
} from "discord-api-types/v10";
import type { Page } from "playwright-core";
import { z } from "zod";
import { COMMANDS } from "#bot/commands/definitions.ts";
import type { Sent } from "./wiretap.ts";

const BUTTON = 2;
const SELECTS: ReadonlySet<unknown> = new Set([3, 5, 6, 7, 8]);

const body = z.object({
  name: z.string().optional(),
  focused: z.string().optional(),
  customId: z.string().optional(),
  values: z.unknown().optional(),
});
const outcome = z.object({ modal: z.object({ custom_id: z.string() }).optional() }).catch({});

/** Everything that the page sends on behalf of its person. */
export class UsedControls {
  readonly #acts: {
    readonly act: string;
    readonly body: unknown;
    readonly answer: Promise<unknown>;
  }[] = [];

  constructor(page: Page) {
    page.on("response", (response) => {
      const act = /\/local\/\d+\/.*?(slash|autocomplete|menu|component|modal)$/.exec(
        response.url(),
      );
      const request = response.request();
      if (act?.[1] === undefined || request.method() !== "POST") return;
      const answer = response.json().catch(() => undefined);
      this.#acts.push({ act: act[1], body: request.postDataJSON(), answer });
    });
  }

  /** Their names so far. */
  async names(): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    let openForm = "";
    for (const { act, body: sent, answer } of this.#acts) {
      names.add(nameOf(act, body.parse(sent), openForm));
      openForm = outcome.parse(await answer).modal?.custom_id ?? openForm;
    }
    return names;
  }
}

function nameOf(act: string, sent: z.infer<typeof body>, openForm: string): string {
  const { name = "", focused = "", customId = "", values } = sent;
  switch (act) {
    case "slash":
      return `/${name}`;
    case "autocomplete":
      return `completion /${name} ${focused}`;
    case "menu":
      return `menu ${name}`;
    case "modal":
      return `form ${generic(openForm)}`;
    default:
      return `${values === undefined ? "button" : "select"} ${generic(customId)}`;
  }
}

/** A custom id without what differs each time. */
function generic(customId: string): string {
  return customId.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|\d+/g, "…");
}

/** Every control that the bot sent: those of messages, and forms. */
export function shownControls(sent: readonly Sent[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { body: given } of sent)
    collect(typeof given === "string" ? payloadOf(given) : given, names);
  return names;
}

/** The JSON part of a request with files. */
function payloadOf(multipart: string): unknown {
  const json = /name="payload_json"[^{]*(\{.*\})\r?\n--/s.exec(multipart)?.[1];
  return json === undefined ? undefined : JSON.parse(json);
}

function collect(node: unknown, names: Set<string>): void {
  if (typeof node !== "object" || node === null) return;
  const { custom_id: id, title, type } = Object.fromEntries(Object.entries(node));
  if (typeof id === "string" && typeof title === "string") {
    names.add(`form ${generic(id)}`);
    return;
  }
  if (typeof id === "string" && type === BUTTON) names.add(`button ${generic(id)}`);
  if (typeof id === "string" && SELECTS.has(type)) names.add(`select ${generic(id)}`);
  for (const inner of Object.values(node)) collect(inner, names);
}

/** Every command, menu entry and completion that Discord is told of. */
export function definedCommands(): readonly string[] {
  return COMMANDS.flatMap((command) => {
    if (command.type === ApplicationCommandType.Message) return [`menu ${command.name}`];
    const options = "options" in command ? (command.options ?? []) : [];
    const nested = options.flatMap((option) => (option.type === Option.Subcommand ? [option] : []));
    const whole = nested.length === 0 ? [{ name: command.name, options }] : [];
    const parts = nested.map((sub) => ({
      name: `${command.name} ${sub.name}`,
      options: sub.options ?? [],
    }));
    return [...whole, ...parts].flatMap(({ name, options: own }) => [
      `/${name}`,
      ...own.flatMap((option) =>
        "autocomplete" in option && option.autocomplete === true
          ? [`completion /${name} ${option.name}`]
          : [],
      ),
    ]);
  });
}
