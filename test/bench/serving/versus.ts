/** Times the engine over HTTP with SSE, beside llama-server on the same file and threads if asked for. */
import { openLocalBackend } from "#engine/backends/local.ts";
import { timeBareDecodes } from "./bare-decode.ts";
import { type LoadTiming, loadByHttp } from "./http-load.ts";
import { buildLlamaServer, startLlamaServer } from "./llama-server.ts";
import { startOurEngine } from "./our-engine.ts";
import { processorSeconds, type ServerProcess } from "./server-process.ts";
import { CONTEXT_TOKENS, type Conversation, conversations, type SystemPrompt } from "./workload.ts";

const WARMING_ANSWERS = 8;

/** Who answers. */
export type Contender = "engine" | "llama-server";

/** What to run. */
export type VersusCase = {
  readonly modelPath: string;
  readonly streams: readonly number[];
  readonly threads: number;
  readonly repeats: number;
  /** Requests that each person sends, one after the other. */
  readonly requestsEach: number;
  readonly system?: SystemPrompt;
  readonly contenders: readonly Contender[];
  readonly dataDir: string;
  readonly settings: Readonly<Record<string, string>>;
};

/** Several runs of one contender at one number of streams. */
export type VersusResult = {
  readonly contender: Contender;
  readonly streams: number;
  readonly runs: readonly VersusTiming[];
};

/** A run with what it cost. */
export type VersusTiming = LoadTiming & {
  /** Tokens for each second of processor time of all the server's threads: a busy host changes it little. */
  readonly tokensPerProcessorSecond: number;
};

/** All contenders, and where one person is among the numbers of streams libllama alone, tokens a second of each run. */
export type VersusReport = {
  readonly results: readonly VersusResult[];
  readonly bareDecodes: readonly number[];
};

/**
 * Interleaves the contenders: each repeat runs all of them at each number of streams, so that a busy host slows
 * every row alike. Each run has a fresh process, warmed by a round of all its streams and at least `WARMING_ANSWERS`
 * whole answers: servers run for days, and JavaScript is compiled while it runs.
 */
export async function timeVersus(
  run: VersusCase,
  tell: (text: string) => void,
): Promise<VersusReport> {
  const program = run.contenders.includes("llama-server") ? await buildLlamaServer(tell) : "";
  const asked = await prepare(run);
  const results = run.streams.flatMap((streams) =>
    run.contenders.map((contender) => ({ contender, streams, runs: [] as VersusTiming[] })),
  );
  const bareDecodes: number[] = [];
  for (let repeat = 0; repeat < run.repeats; repeat += 1) {
    if (run.streams.includes(1)) {
      const { modelPath, threads, requestsEach: requests } = run;
      bareDecodes.push(await timeBareDecodes({ modelPath, threads, requests }));
    }
    for (const result of results) {
      const { contender, streams } = result;
      await using server = await start(run, contender, streams, program);
      const questions = asked.get(streams);
      if (questions === undefined) throw new Error(`nothing was prepared for ${streams} streams`);
      await loadByHttp(server.url, questions.warming);
      const before = processorSeconds(server.pid);
      const timing = await loadByHttp(server.url, questions.measured);
      const used = processorSeconds(server.pid) - before;
      const tokensPerProcessorSecond = timing.completionTokens / used;
      result.runs.push({ ...timing, tokensPerProcessorSecond });
      tell(`${contender} ${streams}: ${timing.tokensPerSecond.toFixed(0)} tokens/s`);
    }
  }
  return { results, bareDecodes };
}

type Questions = {
  readonly warming: readonly (readonly Conversation[])[];
  readonly measured: readonly (readonly Conversation[])[];
};

async function prepare(run: VersusCase): Promise<ReadonlyMap<number, Questions>> {
  const system = run.system === undefined ? {} : { system: run.system };
  await using backend = await openLocalBackend({
    modelPath: run.modelPath,
    modelId: "bench",
    gpu: "auto",
    gpuLayers: 999,
    contextTokens: CONTEXT_TOKENS,
    streams: 1,
  });
  const count = (messages: Conversation) => backend.countTokens(messages);
  return new Map(
    run.streams.map((streams) => {
      const warmingEach = Math.ceil(WARMING_ANSWERS / streams);
      const warming = conversations(count, { size: streams * warmingEach, seed: 99, ...system });
      const measured = conversations(count, {
        size: streams * run.requestsEach,
        seed: 1,
        ...system,
      });
      const among = (asked: readonly Conversation[], each: number) =>
        Array.from({ length: streams }, (_, i) => asked.slice(i * each, (i + 1) * each));
      return [
        streams,
        {
          warming: among(warming, warmingEach),
          measured: among(measured, run.requestsEach),
        },
      ];
    }),
  );
}

function start(
  run: VersusCase,
  contender: Contender,
  streams: number,
  program: string,
): Promise<ServerProcess> {
  const contextTokens = CONTEXT_TOKENS + (run.system?.tokens ?? 0);
  const { modelPath, threads, dataDir, settings } = run;
  const shape = { modelPath, threads, streams, contextTokens };
  if (contender === "llama-server") return startLlamaServer(program, shape);
  return startOurEngine({ ...shape, dataDir, settings });
}
