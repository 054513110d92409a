/** A Keyv store on Redis: one key each, with Redis's own expiry. It does not own the connection. */
import type { Redis } from "ioredis";
import { beginningOf, type EntryStore } from "./entry-store.ts";
import { dropIfHanging, explainRedisError } from "./redis.ts";

/** Before each key, so that a server may be shared with others. */
const PREFIX = "zephyr:";
/** Keys that one step of a scan looks at. */
const SCAN_COUNT = 500;

/** @param prefix for tests, which share a server */
export function openRedisStore(redis: Redis, prefix: string = PREFIX): EntryStore {
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      dropIfHanging(error, redis);
      throw explainRedisError(error, redis);
    }
  };
  const nameOf = (key: string) => `${prefix}${key}`;
  return {
    get: (key) => guard(async () => (await redis.get(nameOf(key))) ?? undefined),
    has: (key) => guard(async () => (await redis.exists(nameOf(key))) > 0),
    set: (key, value, ttlMs) =>
      guard(async () => {
        if (ttlMs === undefined) await redis.set(nameOf(key), value);
        else await redis.set(nameOf(key), value, "PX", Math.max(1, Math.round(ttlMs)));
        return true;
      }),
    delete: (key) => guard(async () => (await redis.del(nameOf(key))) > 0),
    clear: () =>
      guard(async () => {
        for await (const names of scan(redis, prefix)) {
          if (names.length > 0) await redis.del(...names);
        }
      }),
    iterator: (namespace) => readAll(redis, { prefix, beginning: beginningOf(namespace) }, guard),
    disconnect: () => Promise.resolve(),
  };
}

async function* readAll(
  redis: Redis,
  { prefix, beginning }: { readonly prefix: string; readonly beginning: string },
  guard: <T>(work: () => Promise<T>) => Promise<T>,
): AsyncGenerator<[string, string]> {
  const pages = scan(redis, `${prefix}${beginning}`);
  // A scan may give a key twice.
  const seen = new Set<string>();
  for (;;) {
    const page = await guard(() => pages.next());
    if (page.done === true) return;
    const names = page.value.filter((name) => !seen.has(name));
    if (names.length === 0) continue;
    const values = await guard(() => redis.mget(...names));
    for (const [index, name] of names.entries()) {
      seen.add(name);
      const value = values[index];
      if (typeof value === "string") yield [name.slice(prefix.length), value];
    }
  }
}

/** Names by pages. @yields each page, which may be empty */
async function* scan(redis: Redis, beginning: string): AsyncGenerator<readonly string[]> {
  const pattern = `${beginning.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}*`;
  let cursor = "0";
  do {
    const [next, names] = await redis.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
    yield names;
    cursor = next;
  } while (cursor !== "0");
}
