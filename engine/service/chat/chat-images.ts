/**
 * Which pictures a request may hold: small enough, of a kind that models read, and by addresses that make no server
 * fetch what it should not. It looks at no more of a picture than its first bytes.
 */

/** Whether pictures must come with the request, or may be fetched by the backend. */
export type ImageUrls = "data" | "https";

/** Pictures of a whole request. */
export const MOST_IMAGES = 16;
/** One picture, decoded. */
export const IMAGE_BYTES = 5 << 20;
/** A request with pictures, as it comes: JSON with base64. */
export const IMAGE_BODY_BYTES = 28 << 20;

const DATA_URL = /^data:(image\/(?:png|jpeg|gif|webp));base64,/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const URL_CHARACTERS = 2_048;

/** The types, by what their files begin with, in hexadecimal. */
const BEGINNINGS: Readonly<Record<string, RegExp>> = {
  "image/png": /^89504e470d0a1a0a/,
  "image/jpeg": /^ffd8ff/,
  "image/gif": /^474946383[79]61/,
  "image/webp": /^52494646.{8}57454250/,
};
const BEGINNING_CHARACTERS = 16;

/** @returns what is wrong with a picture's address; undefined where it is fine */
export function imageProblem(url: string, allowed: ImageUrls): string | undefined {
  if (/^data:/i.test(url)) return dataProblem(url);
  if (allowed === "https" && /^https:/i.test(url)) {
    const isFine = url.length <= URL_CHARACTERS && URL.canParse(url);
    return isFine ? undefined : `expected an address of up to ${URL_CHARACTERS} characters`;
  }
  const also = allowed === "https" ? ", or an address of https" : "";
  return `expected data:image/png;base64,… (or jpeg, gif, webp)${also}`;
}

function dataProblem(url: string): string | undefined {
  const head = DATA_URL.exec(url);
  const type = head?.[1]?.toLowerCase();
  if (head === null || type === undefined) {
    return "expected data:image/png;base64,… (or jpeg, gif, webp)";
  }
  const base64 = url.slice(head[0].length);
  if (!BASE64.test(base64)) return "expected base64 after the comma";
  if ((base64.length / 4) * 3 > IMAGE_BYTES + 2) {
    return `expected a picture of at most ${IMAGE_BYTES >> 20} MiB`;
  }
  const bytes = Buffer.from(base64.slice(0, BEGINNING_CHARACTERS), "base64");
  return BEGINNINGS[type]?.test(bytes.toString("hex")) === true
    ? undefined
    : `expected a file that is ${type} as it says`;
}
