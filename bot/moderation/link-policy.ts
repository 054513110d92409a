/** Which links and invitations the bot's answers may hold. Pure; it knows nothing of where they are shown. */
import { z } from "zod";
import type { Language } from "../language/language.ts";

/** A server's choice. */
export const linkPolicySchema = z.object({
  /** `all`: every link; `listed`: only the domains named; `unlisted`: all but those; `none`: no link. */
  links: z.enum(["all", "listed", "unlisted", "none"]),
  /** Lower case, without a scheme; each stands for its subdomains, too. */
  domains: z.array(z.string()).max(200),
  /** Whether invitations to other servers may stand. */
  invites: z.boolean(),
});

/** A parsed policy. */
export type LinkPolicy = z.infer<typeof linkPolicySchema>;

/** Where a server says nothing: links as the model writes them, but no invitations. */
export const DEFAULT_LINK_POLICY: LinkPolicy = { links: "all", domains: [], invites: false };

const INVITE =
  /(?:https?:\/\/)?(?:www\.|ptb\.|canary\.)?(?:discord\.gg|discord(?:app)?\.com\/invite|dsc\.gg|discord\.me|invite\.gg)\/[\w-]+/giu;
/** How links and invitations begin. */
const STEMS = [
  "https://",
  "http://",
  "discord",
  "dsc.gg/",
  "invite.gg/",
  "www.",
  "ptb.",
  "canary.",
];
/** Without the full stop or comma that ends the sentence behind it. */
const LINK = /\bhttps?:\/\/[^\s<>()[\]"'`]*[^\s<>()[\]"'`.,;:!?]/giu;

/** The text with each link that may not stand replaced. @param language of what stands in its place */
export function applyLinkPolicy(text: string, policy: LinkPolicy, language: Language): string {
  const noInvite = language.say("link.invite_removed");
  const invited = policy.invites ? text : text.replaceAll(INVITE, () => noInvite);
  if (policy.links === "all") return invited;
  const noLink = language.say("link.removed");
  return invited.replaceAll(LINK, (link) => (mayStand(link, policy) ? link : noLink));
}

/** Whether a word that is still being written may turn out to be a link or an invitation. */
export function mayBecomeLink(word: string): boolean {
  const lower = word.toLowerCase();
  if (/:\/\/|discord|dsc\.|invite\./.test(lower)) return true;
  const tail = /[a-z0-9.:/]*$/.exec(lower)?.[0] ?? "";
  return tail !== "" && STEMS.some((stem) => stem.startsWith(tail));
}

/** A domain as a person may write it, as the policy keeps it; undefined when it is none. */
export function normaliseDomain(text: string): string | undefined {
  const address = text.trim().toLowerCase().replace(/^\*\./, "");
  const url = URL.parse(address.includes("://") ? address : `https://${address}`);
  return url !== null && /^[^.\s]+(\.[^.\s]+)+$/.test(url.hostname) ? url.hostname : undefined;
}

function mayStand(link: string, { links, domains }: LinkPolicy): boolean {
  if (links === "none") return false;
  const host = URL.parse(link)?.hostname.toLowerCase() ?? "";
  const isListed = domains.some((domain) => host === domain || host.endsWith(`.${domain}`));
  return links === "listed" ? isListed : !isListed;
}
