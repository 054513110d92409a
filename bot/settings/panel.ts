/** The settings as a panel of selects and buttons, and what a choice in it changes. Pure; plain data. */
import {
  type APIActionRowComponent,
  type APIComponentInMessageActionRow,
  ButtonStyle,
  ChannelType,
  ComponentType,
  SelectMenuDefaultValueType,
} from "discord-api-types/v10";
import { type GuildSettings, LANGUAGES, MEMORY_MODES } from "./guild-settings.ts";

/** The kinds of its controls, before the colon of their custom ids. */
export const PANEL = { select: "set", button: "setb", form: "setf" } as const;

/** Its two pages: a message takes five rows. */
export type PanelPage = "who" | "how";

/** What the panel shows besides the settings. */
export type PanelFacts = {
  readonly adapterNames: readonly string[];
  readonly isLearning: boolean;
};

type Row = APIActionRowComponent<APIComponentInMessageActionRow>;

/** Stands for "none" in a select, whose values can't be empty. */
const NONE = "(none)";
const MOST = 25;
const MEMORY_NAMES = {
  person: "Each person has a conversation in each channel",
  channel: "One conversation in each channel for all",
  off: "No memory outside of threads",
};
const LANGUAGE_NAMES = {
  auto: "Each person's own language",
  en: "English",
  de: "Deutsch",
  es: "Español",
  fr: "Français",
  ja: "日本語",
};

/** A page's rows. */
export function panelRows(settings: GuildSettings, page: PanelPage, facts: PanelFacts): Row[] {
  return page === "who"
    ? [
        channels("channelIds", "Channels: all that I see", settings.channelIds, MOST),
        roles(settings.roleIds),
        personas(settings),
        adapters(settings, facts.adapterNames),
        buttons(["Next page", "page:how"], ["Prompt addition…", "prompt"], learning(facts)),
      ]
    : [
        choice("memory", MEMORY_MODES, MEMORY_NAMES, settings.memory),
        choice("locale", LANGUAGES, LANGUAGE_NAMES, settings.locale),
        channels("reportChannelId", "Report channel: none", listed(settings.reportChannelId), 1),
        channels("modLogChannelId", "Mod-log channel: none", listed(settings.modLogChannelId), 1),
        buttons(["First page", "page:who"], ["Limit of a role…", "limit"]),
      ];
}

/** The settings in words, above the controls. */
export function panelText(settings: GuildSettings, facts: PanelFacts): string {
  const limits = settings.roleLimits.map(({ roleId, perMinute }) => `<@&${roleId}> ${perMinute}`);
  const addition = settings.promptAddition === "" ? "none" : `“${settings.promptAddition}”`;
  return [
    "**Settings of this server** – each choice counts at once.",
    `Persona: ${settings.persona ?? "none"} · Adapter: ${settings.adapter ?? "the one that serves"}`,
    `Added to the system prompt: ${addition}`,
    `Questions a minute: ${limits.length === 0 ? "the same for all roles" : limits.join(", ")}`,
    `Learning from this server: ${facts.isLearning ? "on" : "off"}`,
  ].join("\n");
}

/**
 * What a choice in one of the selects changes.
 * @param field the custom id's part behind the colon
 * @returns undefined for a field that there is not (any more)
 */
export function changeOf(
  field: string,
  values: readonly string[],
): Partial<GuildSettings> | undefined {
  const [first] = values;
  switch (field) {
    case "channelIds":
      return { channelIds: [...values] };
    case "roleIds":
      return { roleIds: [...values] };
    case "reportChannelId":
      return { reportChannelId: first ?? null };
    case "modLogChannelId":
      return { modLogChannelId: first ?? null };
    case "persona":
      return { persona: named(first) };
    case "adapter":
      return { adapter: named(first) };
    case "memory":
      return { memory: MEMORY_MODES.find((mode) => mode === first) ?? "person" };
    case "locale":
      return { locale: LANGUAGES.find((language) => language === first) ?? "auto" };
    default:
      return undefined;
  }
}

function named(value: string | undefined): string | null {
  return value === undefined || value === NONE ? null : value;
}

function listed(id: string | null): readonly string[] {
  return id === null ? [] : [id];
}

function learning({ isLearning }: PanelFacts): readonly [string, string] {
  return isLearning ? ["Learning: switch off", "learn:off"] : ["Learning: switch on", "learn:on"];
}

function channels(field: string, placeholder: string, ids: readonly string[], most: number): Row {
  return {
    type: ComponentType.ActionRow,
    components: [
      {
        type: ComponentType.ChannelSelect,
        custom_id: `${PANEL.select}:${field}`,
        placeholder,
        min_values: 0,
        max_values: most,
        channel_types: [ChannelType.GuildText, ChannelType.GuildAnnouncement],
        default_values: ids.map((id) => ({ id, type: SelectMenuDefaultValueType.Channel })),
      },
    ],
  };
}

function roles(ids: readonly string[]): Row {
  return {
    type: ComponentType.ActionRow,
    components: [
      {
        type: ComponentType.RoleSelect,
        custom_id: `${PANEL.select}:roleIds`,
        placeholder: "Roles that may ask: everybody",
        min_values: 0,
        max_values: MOST,
        default_values: ids.map((id) => ({ id, type: SelectMenuDefaultValueType.Role })),
      },
    ],
  };
}

function personas({ personas: known, persona }: GuildSettings): Row {
  const names = known.map(({ name }) => name);
  return options("persona", [
    { label: "Persona: none", value: NONE, default: persona === null },
    ...names.map((name) => ({ label: `Persona: ${name}`, value: name, default: name === persona })),
  ]);
}

function adapters({ adapter }: GuildSettings, names: readonly string[]): Row {
  const known = [...new Set(["base", ...names, ...(adapter === null ? [] : [adapter])])];
  return options("adapter", [
    { label: "Adapter: the one that serves", value: NONE, default: adapter === null },
    ...known
      .slice(0, MOST - 1)
      .map((name) => ({ label: `Adapter: ${name}`, value: name, default: name === adapter })),
  ]);
}

function choice<T extends string>(
  field: string,
  values: readonly T[],
  names: Readonly<Record<T, string>>,
  chosen: T,
): Row {
  return options(
    field,
    values.map((value) => ({ label: names[value], value, default: value === chosen })),
  );
}

function options(
  field: string,
  offered: { readonly label: string; readonly value: string; readonly default: boolean }[],
): Row {
  return {
    type: ComponentType.ActionRow,
    components: [
      {
        type: ComponentType.StringSelect,
        custom_id: `${PANEL.select}:${field}`,
        options: offered,
      },
    ],
  };
}

function buttons(...named: readonly (readonly [label: string, action: string])[]): Row {
  return {
    type: ComponentType.ActionRow,
    components: named.map(([label, action]) => ({
      type: ComponentType.Button,
      style: ButtonStyle.Secondary,
      label,
      custom_id: `${PANEL.button}:${action}`,
    })),
  };
}
