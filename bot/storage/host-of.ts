/** A server's address without the secrets that an address may carry. */

/** Host, port and database of an address, for messages and logs. */
export function hostOf(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return `${host}${pathname === "/" ? "" : pathname}`;
  } catch {
    return "an address that cannot be read";
  }
}
