/**
 * Adapters that learned from what is gone now: once a training without it has ended, they are
 * removed with their weights, whether or not the training gave a successor. It knows nothing of who asked for it.
 */
import { rmSync } from "node:fs";
import { openRegistry } from "#engine/adapters/registry.ts";
import { ConsentBook } from "../feedback/consent.ts";
import { activate } from "./publish.ts";
import type { Surroundings } from "./surroundings.ts";

/** Takes each marked adapter out of service and out of the registry. */
export async function retireTainted(
  at: Pick<Surroundings, "config" | "clock" | "say">,
): Promise<void> {
  using book = ConsentBook.openIfThere(at.config.DATA_DIR, at.clock);
  const registry = openRegistry(at.config.DATA_DIR, at.clock);
  for (const name of book.retraining()) {
    if (registry.current() === name) await activate(at, null);
    if (registry.list().some((entry) => entry.name === name)) {
      rmSync(registry.quarantine(name), { recursive: true, force: true });
    }
    book.retrainingDone(name);
    at.say(`Adapter ${name} learned from something that was deleted; it serves no longer.`);
  }
}
