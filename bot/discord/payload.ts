/** Drafts in the shape of Discord's requests. */
import {
  type APIActionRowComponent,
  type APIButtonComponentWithCustomId,
  ButtonStyle,
  ComponentType,
} from "discord.js";
import type { Button, Draft, TextFile } from "../answer/draft.ts";

const STYLES = {
  primary: ButtonStyle.Primary,
  secondary: ButtonStyle.Secondary,
  success: ButtonStyle.Success,
  danger: ButtonStyle.Danger,
} as const;
/** Discord's limit on a row. */
const BUTTONS_A_ROW = 5;

type ButtonRow = APIActionRowComponent<APIButtonComponentWithCustomId>;

/** A new message. */
export function toPayload(draft: Draft) {
  return {
    content: draft.content,
    ...(draft.buttons === undefined ? {} : { components: toRows(draft.buttons) }),
    ...(draft.file === undefined ? {} : { files: [toAttachment(draft.file)] }),
  };
}

/** A message as it should be from now on: what the draft lacks goes. */
export function toEdit(draft: Draft) {
  return {
    content: draft.content,
    components: toRows(draft.buttons ?? []),
    ...(draft.file === undefined ? {} : { files: [toAttachment(draft.file)] }),
  };
}

/** Buttons in rows of five. */
export function toRows(buttons: readonly Button[]): ButtonRow[] {
  const rows: ButtonRow[] = [];
  for (let start = 0; start < buttons.length; start += BUTTONS_A_ROW) {
    const components = buttons.slice(start, start + BUTTONS_A_ROW).map(toButton);
    rows.push({ type: ComponentType.ActionRow, components });
  }
  return rows;
}

function toButton({ id, label, emoji, style }: Button): APIButtonComponentWithCustomId {
  return {
    type: ComponentType.Button,
    style: STYLES[style],
    custom_id: id,
    ...(label === undefined ? {} : { label }),
    ...(emoji === undefined ? {} : { emoji: { name: emoji } }),
  };
}

function toAttachment({ name, text }: TextFile) {
  return { name, attachment: Buffer.from(text, "utf8") };
}
