/** A message was written: is it meant for the bot, what does it ask, and in which conversation? */
import {
  type Attachment,
  cleanContent,
  type Message,
  MessageType,
  type SendableChannels,
} from "discord.js";
import type { MessageSurface } from "../answer/answer-view.ts";
import type { Sources } from "../answer/question.ts";
import { isAddressed, type MessageFacts } from "../conversation/addressed.ts";
import type { Quote } from "../conversation/untrusted-text.ts";
import type { Language } from "../language/language.ts";
import { picturesIn, type ReadFiles, readAttachments } from "./attachments.ts";
import { isInThread, type Place, placeOf, type Room, speakerName } from "./room.ts";
import { replySurface } from "./surfaces.ts";
import { termsFor } from "./terms.ts";

/** Discord shows typing for ten seconds. */
const TYPING_INTERVAL_MS = 8_000;

/** Answers a message that is meant for the bot. */
export async function onMessage(room: Room, message: Message): Promise<void> {
  if (message.author.bot || !room.seen.isNew(message.id)) return;
  const { channel } = message;
  if (!channel.isSendable() || !isAddressed(await readFacts(room, message))) return;
  const place = placeOf(message, channel);
  const personKey = room.pseudonymise(message.author.id);
  const heard = message.guildId === null ? room.heardLocales.of(personKey) : undefined;
  const language = await room.languageOf(message.guildId, heard);
  const offer = await termsFor(room, { place, channel, member: message.member, personKey });
  if (offer.kind === "refused") {
    const reply = { messageReference: message.id };
    if (!offer.isSilent) await channel.send({ content: language.say(offer.notice), reply });
    return;
  }
  const { terms } = offer;
  if (place.threadId !== null) await room.memory.joinThread(place.threadId);
  const asked = await readQuestion(room, message, place, terms.conversation);
  const own = [...message.attachments.values()];
  const files = await readAttachments(room, language, [...own, ...asked.pictures]);
  const refusal = whyNotAsked(language, asked.text, files);
  if (refusal !== undefined || typeof files === "string") {
    await channel.send({ content: refusal ?? "", reply: { messageReference: message.id } });
    return;
  }
  const personName = speakerName(message);
  const question = {
    text: asked.text,
    ...(asked.quote === undefined ? {} : { quote: asked.quote }),
    ...(asked.about === undefined ? {} : { about: asked.about }),
    ...files,
    ...place,
    personKey,
    personName,
    ...terms,
    messageId: message.id,
    language,
    locale: message.guild?.preferredLocale ?? heard,
  };
  const typing = keepTyping(channel);
  const surface = replySurface(message, channel);
  await room.desk.answer(question, typing.until(surface), channel.id);
  typing.stop();
}

function whyNotAsked(
  language: Language,
  text: string,
  files: ReadFiles | string,
): string | undefined {
  if (typeof files === "string") return language.say("chat.unread", { reason: files });
  const isEmpty = text === "" && files.attached.length + files.images.length === 0;
  return isEmpty ? language.say("chat.empty") : undefined;
}

async function readFacts(room: Room, message: Message): Promise<MessageFacts> {
  const { channel, mentions, reference } = message;
  const botRole = message.guild?.members.me?.roles.botRole;
  const repliesTo = reference?.messageId ?? undefined;
  return {
    isByPerson: !message.author.bot && message.webhookId === null,
    isOrdinary: message.type === MessageType.Default || message.type === MessageType.Reply,
    isDirect: channel.isDMBased(),
    mentionsBot:
      mentions.users.has(room.client.user.id) ||
      (botRole !== undefined && botRole !== null && mentions.roles.has(botRole.id)),
    repliesToBot: repliesTo !== undefined && isOwnMessage(room, message, repliesTo),
    isInJoinedThread: channel.isThread() && (await isInThread(room, channel)),
    hasText: message.content !== "" || message.attachments.size > 0,
  };
}

function isOwnMessage(room: Room, message: Message, id: string): boolean {
  const cached = message.channel.messages.cache.get(id);
  if (cached !== undefined) return cached.author.id === room.client.user.id;
  return room.capture.answerOfMessage(id) !== undefined;
}

type Read = {
  readonly text: string;
  readonly quote?: Quote;
  readonly about?: Sources;
  /** Of the message that it is about. */
  readonly pictures: readonly Attachment[];
};

/** The text and, where it replies to something that is not remembered, that as a quote. */
async function readQuestion(
  room: Room,
  message: Message,
  place: Place,
  conversation: string,
): Promise<Read> {
  const text = readText(room, message, message.content);
  const repliesTo = message.reference?.messageId ?? undefined;
  if (place.threadId !== null) await enterThread(room, place.threadId, conversation);
  const alone = { text, pictures: [] };
  if (repliesTo === undefined) return alone;
  if (isOwnMessage(room, message, repliesTo)) {
    if (place.threadId !== null) return alone;
    if (await room.memory.continueFrom(repliesTo, conversation)) return alone;
  }
  const quoted = await message.fetchReference().catch(() => undefined);
  return quoted === undefined ? alone : readAbout(room, quoted, text);
}

async function readAbout(room: Room, quoted: Message, text: string): Promise<Read> {
  const pictures = await picturesIn(room, quoted);
  const quotedText = readText(room, quoted, quoted.content);
  if (quotedText === "" && pictures.length === 0) return { text, pictures };
  // What the model said is nobody's words.
  const isOwn = quoted.author.id === room.client.user.id;
  const personKeys = isOwn ? [] : [room.pseudonymise(quoted.author.id)];
  const messageId = quoted.id;
  // "@bot" alone below a message asks about that message.
  if (text === "" && pictures.length === 0) {
    return { text: quotedText, pictures, about: { personKeys, messageIds: [messageId] } };
  }
  const said = quotedText === "" ? "(a picture)" : quotedText;
  const [personKey] = personKeys;
  const whose = personKey === undefined ? {} : { personKey };
  const quote = { name: speakerName(quoted), text: said, ...whose, messageId };
  return { text, quote, pictures };
}

/** A thread on an answer goes on from there. */
async function enterThread(room: Room, threadId: string, conversation: string): Promise<void> {
  const turns = await room.memory.turns(conversation);
  if (turns.length === 0) await room.memory.continueFrom(threadId, conversation);
}

/** Without the mention of the bot; other mentions by name. */
function readText(room: Room, message: Message, content: string): string {
  const botRole = message.guild?.members.me?.roles.botRole?.id;
  const own = content
    .replaceAll(new RegExp(`<@!?${room.client.user.id}>`, "g"), "")
    .replaceAll(`<@&${botRole}>`, "");
  return cleanContent(own, message.channel).trim();
}

/** Shows typing until the first message stands there. */
function keepTyping(channel: SendableChannels) {
  const show = () => void channel.sendTyping().catch(() => undefined);
  show();
  const timer = setInterval(show, TYPING_INTERVAL_MS);
  const stop = () => clearInterval(timer);
  const until = (surface: MessageSurface): MessageSurface => ({
    ...surface,
    create: (draft) => {
      stop();
      return surface.create(draft);
    },
  });
  return { stop, until };
}
