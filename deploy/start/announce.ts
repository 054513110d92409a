/**
 * What the supervisor tells whoever started it: lines for people, or one JSON object a line.
 * It knows nothing of how the services run.
 */
/** Something that the supervisor has to say. */
export type Announcement =
  | { readonly event: "starting"; readonly service: string }
  | {
      readonly event: "ready";
      /** The page to chat in; absent with real Discord. */
      readonly page?: string;
      /** Where to add the bot to a server; absent in the playground. */
      readonly invite?: string;
      readonly engine: string;
      readonly model: string;
      /** What computes and why. */
      readonly device: string;
      readonly adapter: string | null;
      /** When the next training starts, ISO 8601; null when TRAIN_AT is off. */
      readonly training: string | null;
      readonly dataDir: string;
    }
  | {
      readonly event: "restarting";
      readonly service: string;
      readonly reason: string;
      readonly delayMs: number;
    }
  /** Settings changed: these services are started again, one after the other. */
  | { readonly event: "reloading"; readonly services: readonly string[] }
  | { readonly event: "reloaded" }
  /** All goes on as it was. */
  | { readonly event: "not_reloaded"; readonly message: string }
  | {
      readonly event: "downloading";
      readonly model: string;
      readonly downloadedBytes: number;
      readonly totalBytes: number;
    }
  | { readonly event: "training"; readonly message: string }
  | { readonly event: "trained"; readonly exitCode: number | null; readonly message: string }
  /** `wasReady`: people may be waiting for answers. */
  | { readonly event: "stopping"; readonly wasReady: boolean }
  | { readonly event: "stopped" };

/** Says it. */
export type Announce = (announcement: Announcement) => void;

/** Announces on stdout. */
export function announcer(json: boolean): Announce {
  return (announcement) => {
    const text = json ? JSON.stringify(announcement) : forPeople(announcement);
    process.stdout.write(`${text}\n`);
  };
}

/** The announcement as people read it. */
export function forPeople(announcement: Announcement): string {
  switch (announcement.event) {
    case "starting":
      return `Starting the ${announcement.service} …`;
    case "ready":
      return readyLines(announcement);
    case "restarting":
      return `${announcement.reason} Starting the ${announcement.service} again in ${Math.round(announcement.delayMs / 1_000)} s.`;
    case "downloading":
      return `Downloading ${announcement.model}: ${inMebibytes(announcement.downloadedBytes)} of ${inMebibytes(announcement.totalBytes)} MiB`;
    case "reloading":
      return `Reading the settings again; starting ${announcement.services.join(" and ")} again, what is being answered is finished first.`;
    case "reloaded":
      return "The new settings count.";
    case "training":
    case "trained":
    case "not_reloaded":
      return announcement.message;
    case "stopping":
      return announcement.wasReady
        ? "Stopping; what is being answered is finished first. Press Ctrl-C again to end at once."
        : "Stopping what was started.";
    case "stopped":
      return "Stopped.";
  }
}

function readyLines(ready: Announcement & { event: "ready" }): string {
  const where =
    ready.page === undefined
      ? `Discord    ${ready.invite === undefined ? "connected" : `connected; add the bot to a server: ${ready.invite}`}`
      : `Page       ${ready.page}`;
  return [
    "",
    `  ${where}`,
    `  Engine     ${ready.engine} (OpenAI-compatible)`,
    `  Model      ${ready.model}`,
    `  Device     ${ready.device}`,
    `  Adapter    ${ready.adapter ?? "none yet: the bare model answers"}`,
    `  Training   ${ready.training === null ? "off (TRAIN_AT); run it by npx zephyr train" : `next ${whenLocal(ready.training)}; at once by npx zephyr train`}`,
    `  Data       ${ready.dataDir}`,
    "",
  ].join("\n");
}

function whenLocal(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function inMebibytes(bytes: number): number {
  return Math.round(bytes / (1 << 20));
}
