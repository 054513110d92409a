/** What happens in the local Discord, told to whoever listens: the gateway, the page, scripted people. */
import type {
  APIAttachment,
  APIModalInteractionResponseCallbackData,
  GatewayIntentBits,
} from "discord-api-types/v10";
import type { ChannelRecord, MessageRecord, UserRecord } from "./records.ts";

/** Ids that an interaction's data refers to. */
export type ResolvedIds = {
  readonly users?: readonly string[];
  readonly channels?: readonly string[];
  readonly messages?: readonly string[];
  readonly roles?: readonly string[];
  readonly attachments?: readonly APIAttachment[];
};

/** An interaction on its way to the application. */
export type PendingInteraction = {
  readonly id: string;
  readonly token: string;
  /** discord-api-types' InteractionType */
  readonly type: number;
  readonly userId: string;
  readonly channelId: string;
  readonly data: object;
  /** what `data` names by id; the application gets these as whole objects */
  readonly resolves: ResolvedIds;
  readonly messageId: string | null;
};

/** A form that the application asks a person to fill in. */
export type OpenModal = APIModalInteractionResponseCallbackData & {
  readonly channelId: string;
  /** the message whose component opened it, if one did */
  readonly messageId: string | null;
};

/** One thing that happened, already on disk. */
export type WorldEvent =
  | { readonly type: "messageCreated"; readonly message: MessageRecord }
  | { readonly type: "messageUpdated"; readonly message: MessageRecord }
  | { readonly type: "messageDeleted"; readonly message: MessageRecord }
  | {
      readonly type: "reactionAdded" | "reactionRemoved";
      readonly message: MessageRecord;
      readonly emoji: string;
      readonly userId: string;
    }
  | {
      readonly type: "reactionsCleared";
      readonly message: MessageRecord;
      /** null: every emoji */
      readonly emoji: string | null;
    }
  | {
      readonly type: "channelCreated" | "channelUpdated" | "channelDeleted";
      readonly channel: ChannelRecord;
    }
  | {
      readonly type: "threadMembersChanged";
      readonly channel: ChannelRecord;
      readonly added: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly type: "memberAdded" | "memberChanged"; readonly user: UserRecord }
  | { readonly type: "typing"; readonly channelId: string; readonly userId: string }
  | {
      /** A moderator or AutoMod did something: an event as Discord sends it. */
      readonly type: "moderated";
      readonly name: string;
      readonly intent: GatewayIntentBits;
      readonly data: object;
    }
  | { readonly type: "commandsChanged" }
  | { readonly type: "interactionSent"; readonly interaction: PendingInteraction }
  | {
      readonly type: "interactionSettled";
      readonly interaction: PendingInteraction;
      readonly outcome: "answered" | "failed";
    }
  | { readonly type: "modalOpened"; readonly userId: string; readonly modal: OpenModal }
  | { readonly type: "botPresence"; readonly connected: boolean };

/** Calls each listener in turn, at once. A listener that throws is a programmer's error. */
export class EventBus {
  readonly #listeners = new Set<(event: WorldEvent) => void>();

  /** @returns a function that ends the subscription */
  subscribe(listener: (event: WorldEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: WorldEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
