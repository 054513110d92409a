/**
 * The languages in which the bot speaks: those that come with it, and those of an operator's own folder.
 * A file is named after its language, such as `pt-BR.json`; one that also comes with the bot is taken key
 * by key. It knows nothing of Discord but how it writes locales.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CodedError } from "#engine/base/errors.ts";
import { type ReadCatalogue, readCatalogue } from "./catalogue.ts";
import { Language } from "./language.ts";

const OWN_FOLDER = fileURLToPath(new URL(".", import.meta.url));
const EXTENSION = ".json";
const ENGLISH_CODE = "en";

/** A language's file, as it was read. */
export type LanguageFile = ReadCatalogue & { readonly code: string; readonly path: string };

/** All languages of one bot. English is always one. */
export class Languages {
  /** As Discord and browsers write them, in alphabetical order. */
  readonly codes: readonly string[];
  readonly #byCode: ReadonlyMap<string, Language>;

  /** @param files later ones stand over earlier ones of the same language */
  constructor(files: readonly Pick<LanguageFile, "code" | "messages">[]) {
    const byCode = new Map([[ENGLISH_CODE, new Language(ENGLISH_CODE, {})]]);
    const messages = new Map<string, LanguageFile["messages"]>();
    for (const file of files) {
      messages.set(file.code, { ...messages.get(file.code), ...file.messages });
    }
    for (const [code, own] of messages) byCode.set(code, new Language(code, own));
    this.#byCode = byCode;
    this.codes = [...byCode.keys()].sort();
  }

  /** The language for a locale such as `es-419`: itself, its language in another region, or English. */
  of(locale: string | null | undefined): Language {
    const language = locale === null || locale === undefined ? undefined : this.find(locale);
    return language ?? this.english;
  }

  /** Likewise, but undefined where English would only stand in for it. */
  find(locale: string): Language | undefined {
    const [base = ""] = locale.split("-");
    const kin = this.codes.find((code) => code.startsWith(`${base}-`));
    return this.#byCode.get(locale) ?? this.#byCode.get(base) ?? this.#byCode.get(kin ?? "");
  }

  /** What stands wherever a language is not known. */
  get english(): Language {
    const english = this.#byCode.get(ENGLISH_CODE);
    if (english === undefined) throw new Error("English is always there");
    return english;
  }
}

/**
 * Reads the languages that come with the bot, and a folder's.
 * @param onProblem told of each message that could not be taken, and of files that lack some
 * @throws CodedError `config_invalid` when the folder or a file in it can't be read or is misnamed
 */
export function loadLanguages(
  folder: string | undefined,
  onProblem: (path: string, problem: string) => void,
): Languages {
  const files = [OWN_FOLDER, ...(folder === undefined ? [] : [folder])].flatMap(readFolder);
  for (const { path, problems, missing } of files) {
    for (const problem of problems) onProblem(path, problem);
    if (missing.length > 0) {
      const some = missing.slice(0, 3).join(", ");
      onProblem(path, `${missing.length} messages are missing, and are said in English: ${some}…`);
    }
  }
  return new Languages(files);
}

/** The language files of a folder. @throws CodedError `config_invalid` */
function readFolder(folder: string): readonly LanguageFile[] {
  return readNames(folder)
    .filter((name) => name.endsWith(EXTENSION))
    .sort()
    .map((name) => {
      const path = join(folder, name);
      return { code: codeOf(path), path, ...readCatalogue(readText(path)) };
    });
}

function readNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw new CodedError(
      `LANGUAGE_DIR: could not read the folder ${folder}. Give the path of a folder with files such as pt-BR.json.`,
      { code: "config_invalid", cause: error },
    );
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CodedError(`LANGUAGE_DIR: could not read ${path}.`, {
      code: "config_invalid",
      cause: error,
    });
  }
}

function codeOf(path: string): string {
  const name = basename(path, EXTENSION);
  try {
    const [code] = Intl.getCanonicalLocales(name);
    if (code === name) return code;
  } catch {
    // Not a locale at all: told below like one that is written otherwise.
  }
  throw new CodedError(
    `LANGUAGE_DIR: ${path} is not named after a language. Expected a locale such as pt-BR.json or it.json.`,
    { code: "config_invalid" },
  );
}
