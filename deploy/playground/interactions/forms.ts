/** What people do with components and forms, checked against what the application sent. Pure. */
import { ComponentType } from "discord-api-types/v10";
import { fieldError } from "../world/discord-error.ts";
import type { OpenModal, ResolvedIds } from "../world/events.ts";
import { isRecord, walk } from "../world/message-input.ts";

/** A value for each of a form's fields, by custom id; lists for selects. */
export type FormValues = Readonly<Record<string, string | readonly string[]>>;

/**
 * An interaction's `data` for a component of a message.
 * @throws DiscordError 50035 when it is not there, is disabled, or does not offer the values
 */
export function readComponent(
  components: readonly unknown[],
  customId: string,
  values: readonly string[] | undefined,
): { data: object; resolves: ResolvedIds } {
  const found = [...walk(components)].find((each) => each["custom_id"] === customId);
  if (found === undefined || found["disabled"] === true) {
    throw fieldError(
      ["data", "custom_id"],
      "COMPONENT_VALIDATION_FAILED",
      "Component validation failed",
    );
  }
  const data = { custom_id: customId, component_type: found["type"], id: found["id"] ?? 0 };
  if (found["type"] === ComponentType.Button) return { data, resolves: {} };
  const chosen = values ?? [];
  checkSelection(found, chosen);
  return { data: { ...data, values: chosen }, resolves: resolvesOf(found["type"], chosen) };
}

/**
 * An interaction's `data` for a filled-in form.
 * @throws DiscordError 50035 naming the field that is missing, too long or too short
 */
export function readModalValues(
  modal: OpenModal,
  values: FormValues,
): { data: object; resolves: ResolvedIds } {
  const components = modal.components.flatMap((each: unknown, index) => {
    if (!isRecord(each)) return [];
    if (Array.isArray(each["components"])) {
      return [
        {
          type: each["type"],
          id: index,
          components: each["components"].map((field) => readField(field, values)),
        },
      ];
    }
    return "component" in each
      ? [{ type: each["type"], id: index, component: readField(each["component"], values) }]
      : [{ type: each["type"], id: index }];
  });
  const resolves = [...walk(modal.components)].map((field) =>
    resolvesOf(field["type"], [values[String(field["custom_id"])] ?? []].flat()),
  );
  return {
    data: { custom_id: modal.custom_id, components },
    resolves: Object.assign({}, ...resolves),
  };
}

function readField(field: unknown, values: FormValues): object {
  if (!isRecord(field)) return {};
  const customId = String(field["custom_id"]);
  const given = values[customId];
  const shared = { type: field["type"], custom_id: customId, id: field["id"] ?? 0 };
  if (field["type"] === ComponentType.TextInput) {
    const text = typeof given === "string" ? given : String(field["value"] ?? "");
    checkText(field, customId, text);
    return { ...shared, value: text };
  }
  const chosen = given === undefined ? [] : [given].flat();
  if (chosen.length > 0 || field["required"] !== false) checkSelection(field, chosen);
  return { ...shared, values: chosen };
}

function checkText(field: Readonly<Record<string, unknown>>, customId: string, text: string): void {
  if (text === "") {
    if (field["required"] === false) return;
    throw fieldError([customId], "BASE_TYPE_REQUIRED", "This field is required");
  }
  const least = Number(field["min_length"] ?? 1);
  const most = Number(field["max_length"] ?? 4_000);
  if (text.length < least) {
    throw fieldError([customId], "BASE_TYPE_MIN_LENGTH", `Must be ${least} or more in length.`);
  }
  if (text.length > most) {
    throw fieldError([customId], "BASE_TYPE_MAX_LENGTH", `Must be ${most} or fewer in length.`);
  }
}

function checkSelection(
  select: Readonly<Record<string, unknown>>,
  chosen: readonly string[],
): void {
  const least = Number(select["min_values"] ?? 1);
  const most = Number(select["max_values"] ?? 1);
  const options: unknown = select["options"];
  const offered = Array.isArray(options)
    ? options.map((each) => (isRecord(each) ? each["value"] : undefined))
    : undefined;
  const isOffered = offered === undefined || chosen.every((value) => offered.includes(value));
  if (isOffered && chosen.length >= least && chosen.length <= most) return;
  throw fieldError(
    ["data", "values"],
    "SELECT_VALIDATION_FAILED",
    `Expected ${least} to ${most} of the offered values`,
  );
}

function resolvesOf(type: unknown, values: readonly string[]): ResolvedIds {
  if (type === ComponentType.UserSelect) return { users: values };
  if (type === ComponentType.ChannelSelect) return { channels: values };
  if (type === ComponentType.RoleSelect) return { roles: values };
  return {};
}
