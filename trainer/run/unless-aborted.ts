/** What a run does until its signal comes. */

/**
 * Awaits `work`, which may throw the signal's reason.
 * @returns undefined when the signal came before or ended it
 */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return undefined;
    throw error;
  }
}
