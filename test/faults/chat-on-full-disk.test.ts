import { describe, expect, test } from "vitest";
import { FeedbackLog, feedbackPath } from "#trainer/feedback/log.ts";
import { finishedAnswer, openLounge } from "../bot/support/lounge.ts";
import { CAN_MOUNT, mountSmallDisk } from "./small-disk.ts";

const MEBIBYTE = 1 << 20;

// Skipped where this process may not mount a disk to fill: that takes root on Linux.
describe.skipIf(!CAN_MOUNT)("when the bot's disk is full", () => {
  test("people still get answers, are told that votes are not saved, and it mends itself", async () => {
    using disk = mountSmallDisk(2 * MEBIBYTE);
    const lounge = await openLounge({ DATA_DIR: disk.folder });
    const general = lounge.playground.channelId("general");
    const ask = (text: string) => lounge.playground.person("mira").slash(general, "chat", { text });

    disk.fill();
    lounge.engine.script = () => [{ text: "Tea is hot." }, { end: "stop" }];
    await ask("What is tea?");
    const unsaved = await lounge.playground.waitFor(({ content }) =>
      content.includes("votes on this answer can't be saved"),
    );
    expect(unsaved.content).toContain("Tea is hot.");

    disk.free();
    lounge.engine.script = () => [{ text: "Milk is white." }, { end: "stop" }];
    await ask("What is milk?");
    await finishedAnswer(lounge, "Milk is white.");
    await lounge.close();
    using log = FeedbackLog.open(feedbackPath(disk.folder));
    const texts = [...log.exchanges()].flatMap(({ candidates }) => candidates.map((c) => c.text));
    expect(texts).toEqual(["Milk is white."]);
  });
});
