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
    ...adapterItems(status),
    item(
      "Ratings",
      status.ratings === null ? "0" : String(status.ratings),
      "plain",
      "Ratings that stand: 👍, 👎, /rate, and in /compare one on each of the two answers",
    ),
  );
}

/** A trial answers in the place of the other where it takes place, so it is shown with it. */
function adapterItems({ engine, adapter, trial }: Status): readonly HTMLElement[] {
  if (engine !== "up") {
    return [item("Adapter", "–", "plain", "Unknown while the engine does not answer")];
  }
  const about =
    adapter === null
      ? "Answers come from the bare model: no adapter is in use"
      : "The adapter that answers: what was learnt from ratings";
  const inUse = item("Adapter", adapter ?? "none", "plain", `${adapter ?? "none"}. ${about}`);
  if (trial === null) return [inUse];
  const { name, percent, isHere } = trial;
  const place = isHere ? "here" : "elsewhere";
  const told = `${name} answers on trial in ${percent}% of servers, this one ${isHere ? "included" : "not"}. Direct messages have no part in it`;
  return [inUse, item(`On trial ${place}`, `${percent}% · ${name}`, "plain", told)];
}

function item(name: string, value: string, state: string, title: string): HTMLElement {
  return el(
    "div",
    { class: `status-item ${state}`, title },
    el("dt", {}, name),
    el("dd", {}, value),
  );
}
