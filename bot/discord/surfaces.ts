/** Where answers are put in Discord: below a message, or as the response to a slash command. */
import {
  type ButtonInteraction,
  type ChatInputCommandInteraction,
  RESTJSONErrorCodes as Code,
  DiscordAPIError,
  type Message,
  MessageFlags,
  type SendableChannels,
} from "discord.js";
import type { MessageSurface } from "../answer/answer-view.ts";
import { type AnswerOutcome, WITHDRAWN } from "../answer/question.ts";
import { toEdit, toPayload } from "./payload.ts";

/** The interaction's token is no longer accepted. */
const TOKEN_OVER: ReadonlySet<number | string> = new Set([
  Code.InvalidWebhookToken,
  Code.UnknownWebhook,
]);
/** Trying again would not help: what was to be changed, or the permission to, is gone. */
const HOPELESS: ReadonlySet<number | string> = new Set([
  Code.UnknownChannel,
  Code.UnknownMessage,
  Code.UnknownInteraction,
  Code.UnknownWebhook,
  Code.InvalidWebhookToken,
  Code.MissingAccess,
  Code.MissingPermissions,
  Code.CannotSendMessagesToThisUser,
  Code.ThreadLocked,
  Code.InvalidActionOnArchivedThread,
  Code.MaximumNumberOfEditsToMessagesOlderThanOneHourReached,
]);

function isGone(error: unknown): boolean {
  return error instanceof DiscordAPIError && HOPELESS.has(error.code);
}

/** Messages of the bot in a channel; the first one replies to `question`. */
export function replySurface(question: Message, channel: SendableChannels): MessageSurface {
  let created = 0;
  let isRepeated = false;
  return {
    create: async (draft) => {
      const isAgain = isRepeated;
      isRepeated = true;
      const reply = { messageReference: question.id, failIfNotExists: false };
      const message = await channel.send({
        ...toPayload(draft),
        ...(created === 0 ? { reply } : {}),
        // Tried again after an answer of Discord's that was lost, it gives the message that is there.
        nonce: `${question.id}.${created}`,
        enforceNonce: true,
      });
      created += 1;
      isRepeated = false;
      // The message that is there says what the first try wanted it to.
      if (isAgain) await channel.messages.edit(message.id, toEdit(draft));
      return message.id;
    },
    ...ownMessages(channel),
  };
}

/** Messages of the bot in a channel. */
export function channelSurface(channel: SendableChannels): MessageSurface {
  return {
    create: async (draft) => (await channel.send(toPayload(draft))).id,
    ...ownMessages(channel),
  };
}

/**
 * The response to a command or button that has been deferred, and messages that follow it. When the
 * interaction's token is over (15 minutes), it goes on as the bot itself.
 */
export function interactionSurface(
  interaction: ChatInputCommandInteraction | ButtonInteraction,
  channel: SendableChannels | undefined,
): MessageSurface {
  const isEphemeral = interaction.ephemeral === true;
  // Nobody but the person sees an ephemeral message: the bot cannot touch it by other ways.
  const own = channel === undefined || isEphemeral ? undefined : ownMessages(channel);
  const viaToken = responseMessages(interaction, isEphemeral);
  let isTokenOver = false;
  const withToken = async <T>(work: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> => {
    if (!isTokenOver) {
      try {
        return await work();
      } catch (error) {
        isTokenOver = own !== undefined && isTokenError(error);
        if (!isTokenOver) throw error;
      }
    }
    return otherwise();
  };
  return {
    create: (draft) =>
      withToken(
        () => viaToken.create(draft),
        async () => (await (channel ?? missing()).send(toPayload(draft))).id,
      ),
    edit: (id, draft) =>
      withToken(
        () => viaToken.edit(id, draft),
        () => (own ?? missing()).edit(id, draft),
      ),
    remove: (id) =>
      withToken(
        () => viaToken.remove(id),
        () => (own ?? missing()).remove(id),
      ),
    isGone,
  };
}

/** What was deferred for an answer that is not to be: it would seem to be thinking for a quarter of an hour. */
export async function tidyWithdrawn(
  interaction: ChatInputCommandInteraction | ButtonInteraction,
  outcome: AnswerOutcome,
): Promise<void> {
  if (outcome.kind === "aborted" && outcome.code === WITHDRAWN)
    await interaction.deleteReply().catch(() => undefined);
}

function isTokenError(error: unknown): boolean {
  return error instanceof DiscordAPIError && TOKEN_OVER.has(error.code);
}

function missing(): never {
  throw new Error("there is no way around an interaction's token here");
}

function responseMessages(
  interaction: ChatInputCommandInteraction | ButtonInteraction,
  isEphemeral: boolean,
): Pick<MessageSurface, "create" | "edit" | "remove"> {
  let isFirst = true;
  return {
    create: async (draft) => {
      const message = isFirst
        ? await interaction.editReply(toEdit(draft))
        : await interaction.followUp({
            ...toPayload(draft),
            ...(isEphemeral ? { flags: MessageFlags.Ephemeral } : {}),
          });
      isFirst = false;
      return message.id;
    },
    edit: async (id, draft) => {
      await interaction.editReply({ message: id, ...toEdit(draft) });
    },
    remove: (id) => interaction.deleteReply(id),
  };
}

/** Changing and removing as the bot itself. */
function ownMessages(channel: SendableChannels): Omit<MessageSurface, "create"> {
  return {
    edit: async (id, draft) => {
      await channel.messages.edit(id, toEdit(draft));
    },
    remove: (id) => channel.messages.delete(id),
    isGone,
  };
}
