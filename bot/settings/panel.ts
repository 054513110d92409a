/** The settings as a panel of selects and buttons, and what a choice in it changes. Pure; plain data. */
import {
  type APIActionRowComponent,
  type APIComponentInMessageActionRow,
  ButtonStyle,
  ChannelType,
  ComponentType,
  SelectMenuDefaultValueType,
} from "discord-api-types/v10";
import type { Language } from "../language/language.ts";
import {
  type GuildSettings,
  MEMORY_MODES,
  personaText,
  SERVER_LANGUAGE,
} from "./guild-settings.ts";

/** The kinds of its controls, before the colon of their custom ids. */
export const PANEL = { select: "set", button: "setb", form: "setf" } as const;

/** Its two pages: a message takes five rows. */
export type PanelPage = "who" | "how";

/** What the panel shows besides the settings. */
export type PanelFacts = {
  readonly adapterNames: readonly string[];
  readonly isLearning: boolean;
  /** In the local Discord, where the switch for learning counts for nothing. */
  readonly isLocal: boolean;
  /** The languages that the bot speaks, as locales. */
  readonly languageCodes: readonly string[];
  /** Of what managers wrote, what rules of today keep out of the system prompt. */
  readonly leftOut: ReadonlySet<string>;
};

type Row = APIActionRowComponent<APIComponentInMessageActionRow>;

/** Stands for "none" in a select, whose values can't be empty. */
const NONE = "(none)";
const MOST = 25;
/** A page's rows, in a language. */
export function panelRows(
  language: Language,
  settings: GuildSettings,
  page: PanelPage,
  facts: PanelFacts,
): Row[] {
  const say = language.asIs.bind(language);
  const { channelIds, reportChannelId, modLogChannelId } = settings;
  const [reports, modLog] = [listed(reportChannelId), listed(modLogChannelId)];
  return page === "who"
    ? [
        channels("channelIds", say("placeholder.settings.channels"), channelIds, MOST),
        roles(say("placeholder.settings.roles"), settings.roleIds),
        personas(language, settings),
        adapters(language, settings, facts.adapterNames),
        buttons(
          [say("button.settings.next"), "page:how"],
          [say("button.settings.prompt"), "prompt"],
          facts.isLearning
            ? [say("button.settings.learning_off"), "learn:off"]
            : [say("button.settings.learning_on"), "learn:on"],
        ),
      ]
    : [
        memory(language, settings),
        locales(language, settings, facts.languageCodes),
        channels("reportChannelId", say("placeholder.settings.reports"), reports, 1),
        channels("modLogChannelId", say("placeholder.settings.mod_log"), modLog, 1),
        buttons(
          [say("button.settings.first"), "page:who"],
          [say("button.settings.limit"), "limit"],
        ),
      ];
}

/** The settings in words, above the controls. */
export function panelText(language: Language, settings: GuildSettings, facts: PanelFacts): string {
  const { persona, adapter, promptAddition: text } = settings;
  const limits = settings.roleLimits.map(({ roleId, perMinute }) => `<@&${roleId}> ${perMinute}`);
  const none = language.say("settings.none");
  const noted = (shown: string, written: string | undefined) =>
    written !== undefined && facts.leftOut.has(written)
      ? `${shown} (${language.say("instructions.left_out")})`
      : shown;
  return [
    language.say("settings.title"),
    language.say("settings.persona_and_adapter", {
      persona: noted(persona ?? none, personaText(settings)),
      adapter: adapter ?? language.say("settings.serving"),
    }),
    language.say("settings.prompt", {
      prompt: text === "" ? none : noted(language.say("settings.quoted", { text }), text),
    }),
    language.say("settings.limits", {
      limits: limits.length === 0 ? language.say("settings.same_for_all") : language.list(limits),
    }),
    language.say("settings.posts", {
      reports: channelName(settings.reportChannelId, none),
      cases: channelName(settings.modLogChannelId, none),
    }),
    learningText(language, facts),
  ].join("\n");
}

function learningText(language: Language, { isLearning, isLocal }: PanelFacts): string {
  const text = language.say(isLearning ? "settings.learning_on" : "settings.learning_off");
  return isLocal ? `${text} (${language.say("settings.learning_local")})` : text;
}

/** A select shows what was chosen and no longer what for. */
function channelName(id: string | null, none: string): string {
  return id === null ? none : `<#${id}>`;
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
      return { locale: first ?? SERVER_LANGUAGE };
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

function roles(placeholder: string, ids: readonly string[]): Row {
  return {
    type: ComponentType.ActionRow,
    components: [
      {
        type: ComponentType.RoleSelect,
        custom_id: `${PANEL.select}:roleIds`,
        placeholder,
        min_values: 0,
        max_values: MOST,
        default_values: ids.map((id) => ({ id, type: SelectMenuDefaultValueType.Role })),
      },
    ],
  };
}

function personas(language: Language, { personas: known, persona }: GuildSettings): Row {
  return options("persona", [
    { label: language.say("option.settings.no_persona"), value: NONE, default: persona === null },
    ...known.map(({ name }) => ({
      label: language.say("option.settings.persona", { name }),
      value: name,
      default: name === persona,
    })),
  ]);
}

function adapters(language: Language, { adapter }: GuildSettings, names: readonly string[]): Row {
  const known = [...new Set(["base", ...names, ...(adapter === null ? [] : [adapter])])];
  const serving = language.say("option.settings.adapter_serving");
  return options("adapter", [
    { label: serving, value: NONE, default: adapter === null },
    ...known.slice(0, MOST - 1).map((name) => ({
      label: language.say("option.settings.adapter", { name }),
      value: name,
      default: name === adapter,
    })),
  ]);
}

function memory(language: Language, { memory: chosen }: GuildSettings): Row {
  return options(
    "memory",
    MEMORY_MODES.map((mode) => ({
      label: language.say(`option.settings.memory.${mode}`),
      value: mode,
      default: mode === chosen,
    })),
  );
}

/** Each language by its own name. */
function locales(
  language: Language,
  { locale: chosen }: GuildSettings,
  codes: readonly string[],
): Row {
  const automatic = language.say("option.settings.locale.auto");
  return options("locale", [
    { label: automatic, value: SERVER_LANGUAGE, default: chosen === SERVER_LANGUAGE },
    ...codes.slice(0, MOST - 1).map((code) => ({
      label: language.say("option.settings.locale", { language: ownName(code) }),
      value: code,
      default: code === chosen,
    })),
  ]);
}

function ownName(code: string): string {
  return new Intl.DisplayNames(code, { type: "language" }).of(code) ?? code;
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
