/**
 * A store on a server with a copy of what was read and written on this machine, for when the server is
 * away: then the copy is read, and changes are refused. It knows nothing of what is stored.
 */
import { isCoded } from "#engine/base/errors.ts";
import { type EntryStore, ttlLeftMs } from "./entry-store.ts";

/** @param copy the same keys on this machine */
export function keepCopy(main: EntryStore, copy: EntryStore): EntryStore {
  return {
    ...main,
    get: async (key) => {
      try {
        const value = await main.get(key);
        await noteSeen(copy, key, value);
        return value;
      } catch (error) {
        return isCoded(error, "store_unreachable") ? copy.get(key) : Promise.reject(error);
      }
    },
    set: async (key, value, ttlMs) => {
      const isSet = await main.set(key, value, ttlMs);
      if (isSet) await noteSeen(copy, key, value);
      return isSet;
    },
    delete: async (key) => {
      const wasThere = await main.delete(key);
      await noteSeen(copy, key, undefined);
      return wasThere;
    },
  };
}

/**
 * Moves what was kept on this machine to a server that is new: each entry goes once, and what the server
 * has already stays as it is there.
 * @param isMoved whether an entry is not kept here as well
 * @returns how many entries went over
 */
export async function carryOver(
  from: EntryStore,
  to: EntryStore,
  isMoved: (key: string) => boolean,
): Promise<number> {
  if ((await to.get(CARRIED)) !== undefined) return 0;
  let count = 0;
  for await (const [key, value] of from.iterator()) {
    const ttlMs = ttlLeftMs(value, Date.now());
    if (ttlMs === 0 || (await to.has(key))) continue;
    await to.set(key, value, ttlMs);
    if (isMoved(key)) await from.delete(key);
    count += 1;
  }
  await to.set(CARRIED, JSON.stringify({ value: Date.now() }));
  return count;
}

/** Set on a server once what was on this machine went there. */
const CARRIED = "carried-over";

/** A write waits for this machine's disk, so one is made only where something changed. */
async function noteSeen(copy: EntryStore, key: string, value: string | undefined): Promise<void> {
  try {
    if ((await copy.get(key)) === value) return;
    if (value === undefined) await copy.delete(key);
    else await copy.set(key, value, ttlLeftMs(value, Date.now()));
  } catch (error) {
    // A full disk must not keep settings from being read.
    if (!isCoded(error)) throw error;
  }
}
