/** The strip at the top: whether bot and engine are up, which adapter answers, how many ratings there are. */
import { byId, el } from "./dom.ts";
import { fetchStatus } from "./server.ts";
import type { ChatState } from "./state.ts";
import type { Status } from "./types.ts";

/** How often it is asked for, in milliseconds. */
const EVERY_MS = 3_000;

/** Keeps the strip current. */
export function showStatus(state: ChatState): void {
  const refresh = async () => {
    if (document.hidden) return;
    draw(await fetchStatus().catch(() => undefined));
  };
  state.subscribe((change) => {
    if (change.part === "status" || change.part === "connection") void refresh();
  });
  document.addEventListener("visibilitychange", () => void refresh());
  setInterval(() => void refresh(), EVERY_MS);
  void refresh();
}

function draw(status: Status | undefined): void {
  if (status === undefined) {
    byId("status").replaceChildren(
      item("Playground", "not running", "bad", "The playground does not answer"),
    );
    return;
  }
  const engine = { up: "good", draining: "waiting", down: "bad", unknown: "waiting" }[
    status.engine
  ];
  const engineText = {
    up: status.model ?? "up",
    draining: "stopping",
    down: "down",
    unknown: "not set",
  }[status.engine];
  const isBotUp = status.bot === "connected";
  byId("status").replaceChildren(
    item(
      "Bot",
      isBotUp ? "online" : "offline",
      isBotUp ? "good" : "bad",
      "Whether the bot is connected to this playground",
    ),
    item("Engine", engineText, engine, "The service that writes the answers, and its model"),
    item(
      "Adapter",
      status.engine === "up" ? (status.adapter ?? "none") : "–",
      "plain",
      status.adapter === null
        ? "Answers come from the bare model; nothing has been learnt yet"
        : "The adapter that answers: what was learnt from ratings",
    ),
    item(
      "Ratings",
      status.ratings === null ? "0" : String(status.ratings),
      "plain",
      "Ratings that stand: 👍, 👎 and /rate. Reports do not count",
    ),
  );
}

function item(name: string, value: string, state: string, title: string): HTMLElement {
  return el(
    "div",
    { class: `status-item ${state}`, title },
    el("dt", {}, name),
    el("dd", {}, value),
  );
}
