/** Lets a test's local Discord write the bot's requests down, when the run as a whole checks them. */

/** Options for `startPlayground`; nothing when no check is on. */
export function recording(): { readonly recordTo?: string } {
  const folder = process.env["PLAYGROUND_RECORD"];
  return folder === undefined || folder === "" ? {} : { recordTo: folder };
}
