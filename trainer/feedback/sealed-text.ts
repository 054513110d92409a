/**
 * Text, or bytes, sealed for one or more people: AES-256-GCM under a key that is derived from all of theirs
 * (HKDF, RFC 5869), so that destroying any one of them makes it unreadable for good. Pure; where keys
 * come from is key-ring.ts's affair.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

/** A person's key: 32 bytes, and the id by which sealed text names it. */
export type PersonKey = { readonly id: string; readonly bytes: Uint8Array };

/** A key by its id; undefined when it was destroyed. */
type FindKey = (id: string) => PersonKey | undefined;

/** Sealed text as it is stored: `z1.<key ids>.<iv, tag and cipher text in base64url>`. */
type Envelope = { readonly keyIds: readonly string[]; readonly payload: Buffer };

const FORM = /^z1\.([0-9a-f]{24}(?:,[0-9a-f]{24})*)\.([\w-]+)$/;
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const IV_BYTES = 12;
const ID_BYTES = 12;
const COUNT_BYTES = 2;
const TAG_BYTES = 16;

/** Encrypts. @param context what the text belongs to; it opens nowhere else */
export function sealText(keys: readonly PersonKey[], text: string, context: string): string {
  const { ids, payload } = encrypt(keys, Buffer.from(text), context);
  return `z1.${ids.join(",")}.${payload.toString("base64url")}`;
}

/** Whether text has the form of sealed text. */
export function isSealed(text: string): boolean {
  return FORM.test(text);
}

/**
 * Decrypts.
 * @param find a key by its id; undefined when it was destroyed
 * @returns undefined when a key is gone
 * @throws Error when the text was changed, or belongs to another context
 */
export function openText(sealed: string, context: string, find: FindKey): string | undefined {
  return decrypt(parseEnvelope(sealed), context, find)?.toString("utf8");
}

/** Encrypts bytes: how many keys (u16), their ids, then nonce, tag and cipher text. @param context as for text */
export function sealBytes(
  keys: readonly PersonKey[],
  bytes: Uint8Array,
  context: string,
): Uint8Array {
  const { ids, payload } = encrypt(keys, bytes, context);
  const count = Buffer.alloc(COUNT_BYTES);
  count.writeUInt16LE(ids.length);
  return Buffer.concat([count, ...ids.map((id) => Buffer.from(id, "hex")), payload]);
}

/** Decrypts bytes. @returns undefined when a key is gone @throws Error as `openText` */
export function openBytes(
  sealed: Uint8Array,
  context: string,
  find: FindKey,
): Uint8Array | undefined {
  const given = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const count = given.readUInt16LE();
  const end = COUNT_BYTES + count * ID_BYTES;
  const keyIds = Array.from({ length: count }, (_, i) =>
    given.toString("hex", COUNT_BYTES + i * ID_BYTES, COUNT_BYTES + (i + 1) * ID_BYTES),
  );
  const opened = decrypt({ keyIds, payload: given.subarray(end) }, context, find);
  if (opened === undefined) return undefined;
  // A Buffer's parts would be Buffers, too, and its copies none.
  return new Uint8Array(opened.buffer, opened.byteOffset, opened.length);
}

function encrypt(
  keys: readonly PersonKey[],
  bytes: Uint8Array,
  context: string,
): { readonly ids: readonly string[]; readonly payload: Buffer } {
  const sorted = keys.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, deriveKey(sorted, iv), iv);
  cipher.setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
  const payload = Buffer.concat([iv, cipher.getAuthTag(), body]);
  return { ids: sorted.map(({ id }) => id), payload };
}

function decrypt(
  { keyIds, payload }: Envelope,
  context: string,
  find: FindKey,
): Buffer | undefined {
  const keys = keyIds.flatMap((id) => find(id) ?? []);
  if (keys.length < keyIds.length) return undefined;
  const iv = payload.subarray(0, IV_BYTES);
  const decipher = createDecipheriv(CIPHER, deriveKey(keys, iv), iv);
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(payload.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const body = decipher.update(payload.subarray(IV_BYTES + TAG_BYTES));
  return Buffer.concat([body, decipher.final()]);
}

function parseEnvelope(sealed: string): Envelope {
  const [, ids, payload] = FORM.exec(sealed) ?? [];
  if (ids === undefined || payload === undefined) throw new Error("expected sealed text");
  return { keyIds: ids.split(","), payload: Buffer.from(payload, "base64url") };
}

/** The nonce salts the derivation, so that no two texts share a key. */
function deriveKey(keys: readonly PersonKey[], iv: Uint8Array): Buffer {
  const material = Buffer.concat(keys.map(({ bytes }) => bytes));
  return Buffer.from(hkdfSync("sha256", material, iv, "zephyr-community text v1", KEY_BYTES));
}
