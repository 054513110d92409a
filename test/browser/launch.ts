/** Starts the headless Chromium that the page's tests run in; it comes with the development packages. */
import sparticuz from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

/** Launches a browser; close it with `browser.close()`. The first launch unpacks it, which takes seconds. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await sparticuz.executablePath(),
    args: sparticuz.args,
    headless: true,
  });
}
