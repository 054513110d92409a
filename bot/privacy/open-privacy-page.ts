/** Serves what the settings say of people's data, in each language. */
import type { Config } from "#engine/base/config.ts";
import type { Logger } from "#engine/base/log.ts";
import type { Languages } from "../language/languages.ts";
import { preferredLanguage } from "../language/preferred.ts";
import type { Served } from "../web/serve.ts";
import { type PageRequest, servePrivacyPage } from "./privacy-page.ts";
import { privacyStatement } from "./statement.ts";

/** A port that is taken must not keep the bot away: it is told, and the page is not served. */
export async function openPrivacyPage(
  config: Config,
  botName: string,
  languages: Languages,
  log: Logger,
): Promise<Served | undefined> {
  const { PRIVACY_HOST: host, PRIVACY_PORT: port } = config;
  const all = languages.codes.map((code) => languages.of(code));
  const facts = {
    botName,
    retentionDays: config.RETENTION_DAYS,
    contact: config.PRIVACY_CONTACT,
    learnsFromDiscord: config.LEARN_FROM_DISCORD,
    trainAt: config.TRAIN_AT,
  };
  const html = ({ language, acceptLanguage }: PageRequest) => {
    const wanted = language === undefined ? undefined : languages.find(language);
    return privacyStatement(wanted ?? preferredLanguage(languages, acceptLanguage), facts, all);
  };
  try {
    return await servePrivacyPage({ host, port }, html, log);
  } catch (error) {
    log.warn({ err: error }, "the privacy page is not served");
    return undefined;
  }
}
