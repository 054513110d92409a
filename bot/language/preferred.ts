/** Which language a browser asks for: https://httpwg.org/specs/rfc9110.html#field.accept-language. Pure. */
import type { Language } from "./language.ts";
import type { Languages } from "./languages.ts";

/** Entries of a header that are looked at. */
const MOST = 20;

/** @param header of the request, such as `de-AT,de;q=0.9,en;q=0.5` */
export function preferredLanguage(languages: Languages, header: string | undefined): Language {
  const wanted = (header ?? "")
    .split(",", MOST)
    .map((entry, index) => {
      const [locale = "", ...parameters] = entry.trim().split(";");
      const weight = parameters.map((each) => /^\s*q=([\d.]+)\s*$/.exec(each)?.[1]).find(Boolean);
      return { locale: locale.trim(), weight: Number(weight ?? 1), index };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight || a.index - b.index);
  for (const { locale } of wanted) {
    const language = languages.find(locale);
    if (language !== undefined) return language;
  }
  return languages.english;
}
