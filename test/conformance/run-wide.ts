/**
 * Holds every request that the bot sends during a whole test run against Discord's published document
 * and the product's limits. Tests' local Discords write the requests down (PLAYGROUND_RECORD); when
 * the run is over they are judged, and any violation fails the run.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { RecordedRequest } from "#deploy/playground/rest/record.ts";
import { describeReport, judgeRequests } from "./judge.ts";
import { PublishedApi } from "./published-api.ts";

const recorded = z.custom<RecordedRequest>((value) => typeof value === "object" && value !== null);

/** vitest's global set-up. @returns what it does when the run is over */
export function setup(): () => void {
  const document = process.env["DISCORD_OPENAPI"];
  if (document === undefined || document === "") {
    process.stdout.write(
      "Conformance of the bot's requests is not checked: DISCORD_OPENAPI is unset (the path of discord-api-spec's openapi.json).\n",
    );
    return () => undefined;
  }
  const api = PublishedApi.read(document);
  const folder = mkdtempSync(join(tmpdir(), "requests-"));
  process.env["PLAYGROUND_RECORD"] = folder;
  return () => {
    const report = judgeRequests(api, readRequests(folder));
    rmSync(folder, { recursive: true, force: true });
    process.stdout.write(`${describeReport(report)}\n`);
    if (report.violations.length > 0) {
      throw new Error(
        `${report.violations.length} requests of the bot do not conform to Discord's API.`,
      );
    }
  };
}

function readRequests(folder: string): readonly RecordedRequest[] {
  return readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => recorded.parse(JSON.parse(line))),
  );
}
