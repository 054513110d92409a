/**
 * The training process as the supervisor runs it: nightly at TRAIN_AT in local time, and at once when
 * an earlier run was cut short. One at a time, at low priority. It knows nothing of what training does.
 */

import { constants, setPriority } from "node:os";
import { Cron } from "croner";
import { TrainingWishes } from "#trainer/feedback/training-wishes.ts";
import { unfinishedRun } from "#trainer/nightly/run-folder.ts";
import type { Announce } from "./announce.ts";
import { type ChildLine, type RunningChild, startChild } from "./child.ts";
import { TRAINER_ENVIRONMENT, TRAINER_NODE_FLAGS } from "./trainer-process.ts";

/** The schedule and whatever trains now. */
export type Training = {
  /** When the next run starts; null when it is off. */
  readonly next: () => Date | null;
  /** Ends the schedule, and the run that goes on: it is taken up at its checkpoint later. */
  readonly stop: (graceMs: number) => Promise<void>;
};

/** What the schedule needs. */
export type TrainingOptions = {
  /** `HH:MM` in local time, or `off`. */
  readonly at: string;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly announce: Announce;
  readonly onLog: (line: string) => void;
};

/** How often it looks for an operator's wish. */
const WISH_INTERVAL_MS = 5_000;
/** Niceness of the training process: whoever chats goes first. */
const LOW_PRIORITY = constants.priority.PRIORITY_LOW;

/** Starts the schedule. */
export function scheduleTraining(options: TrainingOptions): Training {
  let running: RunningChild | undefined;
  let stopped = false;
  const wishes = new TrainingWishes(options.dataDir);
  const train = async (message: string): Promise<void> => {
    if (running !== undefined || stopped) return;
    options.announce({ event: "training", message });
    let result = "";
    running = startTrainer(options, (line) => {
      if (line.event === "result") result = String(line["message"]);
    });
    const exit = await running.exited;
    running = undefined;
    const outcome = result === "" ? exit.message : result;
    if (!stopped) options.announce({ event: "trained", exitCode: exit.code, message: outcome });
  };
  const isOn = options.at !== "off";
  const cron = isOn
    ? new Cron(cronPattern(options.at), () =>
        wishes.isPaused ? undefined : train("Training on the feedback so far …"),
      )
    : null;
  const looking = setInterval(() => {
    if (wishes.take()) void train("Training, as an operator wished …");
  }, WISH_INTERVAL_MS).unref();
  if (isOn && unfinishedRun(options.dataDir) !== undefined) {
    // Its outcome is announced; a failure to start it is one, too.
    void train("Taking up the training that was cut short …");
  }
  return {
    next: () => cron?.nextRun() ?? null,
    stop: async (graceMs) => {
      stopped = true;
      clearInterval(looking);
      cron?.stop();
      await running?.stop(graceMs);
    },
  };
}

/** `03:05` as a cron pattern: every day at that local time. */
export function cronPattern(at: string): string {
  const [hour = 0, minute = 0] = at.split(":").map(Number);
  return `${minute} ${hour} * * *`;
}

function startTrainer(options: TrainingOptions, onLine: (line: ChildLine) => void): RunningChild {
  const spec = {
    name: "trainer",
    entry: "trainer/main.ts",
    args: ["--json"],
    nodeFlags: TRAINER_NODE_FLAGS,
    env: { ...options.env, ...TRAINER_ENVIRONMENT },
  };
  const child = startChild(spec, onLine, options.onLog);
  if (child.pid !== undefined) lowerPriority(child.pid);
  return child;
}

/** Best effort: the process may have ended already, and some systems forbid it. */
function lowerPriority(pid: number): void {
  try {
    setPriority(pid, LOW_PRIORITY);
  } catch {
    // It then trains at normal priority.
  }
}
