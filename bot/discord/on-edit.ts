/** A message was changed: what it said before is forgotten, as if it had been deleted. */
import type { Message, PartialMessage } from "discord.js";
import { forgetMessage } from "./on-deletion.ts";
import type { Room } from "./room.ts";

/**
 * Discord also tells of an update when it adds a preview or a message is pinned: only a new text counts.
 * Where the old text is not known, a message that was edited since it was written counts.
 */
export async function onEdit(
  room: Room,
  before: Message | PartialMessage,
  after: Message,
): Promise<void> {
  if (after.author.bot || after.editedTimestamp === null) return;
  if (!before.partial && before.content === after.content) return;
  await forgetMessage(room, after);
}
