/** How slowly what was missed is read from Discord: the limits are for answers. */

/** Between two requests. */
export const PAUSE_MS = 150;
