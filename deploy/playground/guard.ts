/** Keeps other web sites out: a page elsewhere must not reach this server through a visitor's browser. */
import { isIP } from "node:net";

/**
 * Judges a request by its Host and Origin headers. A rebound DNS name is not in the list of hosts;
 * a form or script of another site carries its own Origin.
 * @param boundHost the address that the server listens on
 */
export function createHostGuard(
  boundHost: string,
): (headers: { host: string | undefined; origin: string | undefined }) => boolean {
  const isWildcard = boundHost === "0.0.0.0" || boundHost === "::";
  return ({ host, origin }) => {
    const name = hostname(`http://${host ?? ""}`);
    if (name === undefined) return false;
    const isOurs =
      name === "localhost" || name === "127.0.0.1" || name === "[::1]" || name === boundHost;
    // On all interfaces any address of the machine is ours; a name could be anyone's.
    const isAddress = isWildcard && isIP(name.replace(/^\[|\]$/g, "")) !== 0;
    if (!isOurs && !isAddress) return false;
    return origin === undefined || origin === `http://${host}`;
  };
}

function hostname(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).hostname : undefined;
}
