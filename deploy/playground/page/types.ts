/** The shapes that the server sends to the page. */
import type { APIMessage } from "discord-api-types/v10";

/** Someone who can be switched to, or the bot. */
export type PersonInfo = {
  readonly id: string;
  readonly name: string;
  readonly bot: boolean;
  readonly listed: boolean;
  readonly roleIds: readonly string[];
  /** The language that they chose, as Discord writes it. */
  readonly locale: string;
};

/** Answer of GET /local/people. */
export type Community = {
  readonly guild: string;
  readonly botId: string;
  readonly people: readonly PersonInfo[];
  readonly roles: readonly Named[];
  /** All that can be chosen. */
  readonly locales: readonly string[];
};

/** Something that a select can offer. */
export type Named = { readonly id: string; readonly name: string };

/** A channel, thread or direct message. */
export type Channel = {
  readonly id: string;
  readonly kind: "category" | "text" | "thread" | "direct";
  readonly parentId: string | null;
  readonly name: string;
  readonly topic: string | null;
  readonly position: number;
  readonly isArchived: boolean;
};

/** A message with the names of those who reacted. */
export type Message = APIMessage & {
  readonly reactors: Readonly<Record<string, readonly string[]>>;
};

/** What it is called: to the application, and to the person in their language. */
export type Worded = {
  readonly name: string;
  readonly description: string;
  readonly name_localized?: string;
  readonly description_localized?: string;
};

/** One option of a command; its types are numbered as Discord numbers them. */
export type CommandOption = Worded & {
  readonly type: number;
  readonly required?: boolean;
  readonly choices?:
    | readonly {
        readonly name: string;
        readonly name_localized?: string;
        readonly value: string | number;
      }[]
    | null;
  readonly min_value?: number;
  readonly max_value?: number;
  readonly max_length?: number;
  readonly autocomplete?: boolean;
  readonly options?: readonly CommandOption[];
};

/** A command: type 1 slash, 3 message menu. */
export type Command = Worded & {
  readonly id: string;
  readonly type: number;
  readonly options?: readonly CommandOption[] | null;
  /** Permissions that it takes, as bits in decimal digits; null: anybody may use it. */
  readonly default_member_permissions?: string | null;
};

/** A form of the application. */
export type Modal = {
  readonly custom_id: string;
  readonly title: string;
  readonly components: readonly Readonly<Record<string, unknown>>[];
};

/** What came of using a command, a button or a form. */
export type Outcome =
  | { readonly kind: "message" | "updated" | "acknowledged" | "failed" }
  | { readonly kind: "modal"; readonly modal: Modal }
  | {
      readonly kind: "choices";
      readonly choices: readonly { readonly name: string; readonly value: string | number }[];
    };

/** What the status strip shows. */
export type Status = {
  readonly bot: "connected" | "offline";
  readonly engine: "up" | "draining" | "down" | "unknown";
  readonly model: string | null;
  readonly adapter: string | null;
  readonly trial: {
    readonly name: string;
    readonly percent: number;
    readonly isHere: boolean;
  } | null;
  readonly ratings: number | null;
};

/** One event of the stream. */
export type FeedEvent =
  | { readonly type: "message"; readonly isNew: boolean; readonly message: Message }
  | { readonly type: "messageDeleted"; readonly id: string; readonly channelId: string }
  | { readonly type: "channel"; readonly channel: Channel }
  | { readonly type: "channelDeleted"; readonly id: string }
  | {
      readonly type: "typing";
      readonly channelId: string;
      readonly userId: string;
      readonly name: string;
    }
  | { readonly type: "commandsChanged" }
  | { readonly type: "statusChanged" };
