/** Starts the headless Chromium that the page's tests run in; it comes with the development packages. */
import sparticuz from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

/** The package is made for functions that open one page; in one process a closed page ends them all. */
const UNFIT_ARGS = new Set(["--single-process", "--no-zygote"]);

/** Launches a browser; close it with `browser.close()`. The first launch unpacks it, which takes seconds. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await sparticuz.executablePath(),
    args: sparticuz.args.filter((each) => !UNFIT_ARGS.has(each)),
    headless: true,
  });
}
