/** The check of pictures that the settings ask for, and what they say of pictures that nothing checks. */
import { RemoteImageCheck } from "../backends/remote/image-check.ts";
import { systemClock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { CodedError } from "../base/errors.ts";
import type { ImageModerator } from "../moderation/moderator.ts";

/** Why no picture may reach a model, in a sentence for people; undefined where one may. */
export function imagesRefusal({ IMAGE_CHECK_URL, UNCHECKED_IMAGES }: Config): string | undefined {
  if (IMAGE_CHECK_URL !== undefined || UNCHECKED_IMAGES === "allow") return undefined;
  return "nothing here checks them. The operator can name a server that does (IMAGE_CHECK_URL), or let them pass unchecked (UNCHECKED_IMAGES=allow)";
}

/**
 * Opens the check; undefined where there is none.
 * @throws CodedError `config_invalid` where pictures may come by an address that the model fetches for itself
 */
export function openImageCheck(config: Config): ImageModerator | undefined {
  const { IMAGE_CHECK_URL: url, IMAGE_CHECK_MODEL: model, IMAGE_CHECK_KEY: apiKey } = config;
  if (url === undefined) return undefined;
  if (config.IMAGE_URLS === "https") {
    throw new CodedError(
      "IMAGE_URLS=https does not go with IMAGE_CHECK_URL: an address may give the check one picture and the model another. Set IMAGE_URLS=data.",
      { code: "config_invalid" },
    );
  }
  const settings = "IMAGE_CHECK_URL, IMAGE_CHECK_MODEL and IMAGE_CHECK_KEY";
  return new RemoteImageCheck({ url, model, apiKey, clock: systemClock, settings });
}
