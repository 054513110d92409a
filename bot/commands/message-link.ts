/** Links of messages. Pure. */

/**
 * The message that a link (Copy Message Link) or a bare id names.
 * @returns undefined when it names none
 */
export function messageIdOfLink(link: string): string | undefined {
  return /^(?:https?:\/\/[^\s/]+\/channels\/(?:@me|\d{1,20})\/\d{1,20}\/)?(\d{15,20})\/?$/.exec(
    link.trim(),
  )?.[1];
}
