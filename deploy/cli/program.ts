/**
 * The commands of `zephyr`, their options and help. What each does stands in a file of its own, loaded
 * when it is called, so that `--help` needs nothing native.
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Argument, Command, CommanderError, Option } from "commander";
import { z } from "zod";
import { type Config, loadConfig, SETTING_NAMES } from "#engine/base/config.ts";
import { explainUnknownName, readEnvFile, unknownNames } from "#engine/base/env-file.ts";
import { CodedError } from "#engine/base/errors.ts";
import type { CommandResult } from "./adapters.ts";
import { EXIT, exitCodeOf, printFailure, printResult } from "./outcome.ts";
import { runTrainer } from "./run-trainer.ts";

type WithJson = { readonly json?: boolean };

const RELEASE = z.object({ version: z.string() });

/** Runs the command that `argv` names and sets the process's exit code. */
export async function runCommand(argv: readonly string[]): Promise<void> {
  const program = new Command("zephyr")
    .description(
      "A self-hosted Discord bot whose model learns its community's taste overnight.\nSettings come from the environment and .env; .env.example explains each.",
    )
    .helpCommand(false)
    .version(release(), "--version", "print the release")
    .showHelpAfterError(
      "(npx zephyr --help lists the commands, npx zephyr <command> --help what one takes)",
    )
    .exitOverride()
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 wrong use, 3 refused by a gate.");
  for (const add of [
    addStart,
    addReload,
    addTrain,
    addAdapters,
    addChat,
    addModel,
    addDoctor,
    addFeedback,
    addBackup,
  ]) {
    add(program);
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.wrongUse;
  }
}

/** As package.json says. */
function release(): string {
  const file = new URL("../../package.json", import.meta.url);
  return RELEASE.parse(JSON.parse(readFileSync(file, "utf8"))).version;
}

function addStart(program: Command): void {
  leaf(
    program,
    "start",
    "run everything: engine, bot, and the playground unless DISCORD_TOKEN is set",
  ).action(({ json }: WithJson) =>
    guarded(json, async () => {
      const { start } = await import("../start/start.ts");
      await start(settings(), json === true);
    }),
  );
}

function addReload(program: Command): void {
  leaf(
    program,
    "reload",
    "have what runs read its settings again; what is being answered is finished first",
  ).action(({ json }: WithJson) =>
    reported(json, async (config) => (await import("./reload.ts")).reload(config)),
  );
}

type TrainFlags = WithJson & {
  readonly plan?: boolean;
  readonly activate: boolean;
  readonly loss?: string;
  readonly from?: string;
};

function addTrain(program: Command): void {
  leaf(
    program,
    "train",
    "train an adapter on the feedback, judge it by the gate, and serve it if it passes",
  )
    .option(
      "--plan",
      "only say what memory training takes, what it would learn from, and what not and why",
    )
    .option("--no-activate", "publish the adapter without serving it")
    .option("--from <adapter>", "start from an imported adapter instead of the bare model")
    .option("--loss <name>", "this loss instead of TRAIN_LOSS; .env.example lists them")
    .action(({ json, plan, activate, loss, from }: TrainFlags) =>
      guarded(json, async () => {
        const { engineUrl } = await import("./engine-access.ts");
        const flags = [
          ...(json === true ? ["--json"] : []),
          ...(plan === true ? ["--plan"] : []),
          ...(activate ? [] : ["--no-activate"]),
          ...flagOf("--loss", loss),
          ...flagOf("--from", from),
        ];
        const config = settings(loss === undefined ? {} : { TRAIN_LOSS: loss });
        process.exitCode = await runTrainer(flags, engineUrl(config));
      }),
    );
}

function addAdapters(program: Command): void {
  const adapters = program.command("adapters").description("the trained adapters");
  leaf(adapters, "list", "every adapter, with * at the one that serves").action(
    ({ json }: WithJson) =>
      reported(json, async (config) => (await import("./adapters.ts")).listAdapters(config)),
  );
  leaf(adapters, "activate", "serve this adapter; running answers finish on theirs")
    .addArgument(new Argument("<name>", "an adapter's name, or base for the bare weights"))
    .action((name: string, { json }: WithJson) =>
      reported(json, async (config) =>
        (await import("./adapters.ts")).activateAdapter(config, name),
      ),
    );
  leaf(adapters, "rollback", "end a trial; without one, serve what served before").action(
    ({ json }: WithJson) =>
      reported(json, async (config) => (await import("./adapters.ts")).rollbackAdapter(config)),
  );
  addAdapterFiles(adapters);
}

/** Adapters as other programs keep them. */
function addAdapterFiles(adapters: Command): void {
  const name = () => new Argument("<name>", "an adapter's name");
  const files = () => import("./adapter-files.ts");
  leaf(
    adapters,
    "export",
    "write an adapter as PEFT loads it: safetensors with adapter_config.json",
  )
    .addArgument(name())
    .requiredOption("--out <folder>", "the folder to write")
    .option("--base-model <id>", "the base's Hugging Face id, for adapter_config.json")
    .action((given: string, options: WithJson & { out: string; baseModel?: string }) =>
      reported(options.json, async (config) =>
        (await files()).exportAdapter(config, given, options),
      ),
    );
  leaf(
    adapters,
    "import",
    "take in a PEFT adapter of the model that MODEL names; it does not serve yet",
  )
    .addArgument(new Argument("<folder>", "what PEFT's save_pretrained wrote"))
    .requiredOption("--name <name>", "its name in the registry")
    .action((folder: string, options: WithJson & { name: string }) =>
      reported(options.json, async (config) =>
        (await files()).importAdapter(config, folder, options.name),
      ),
    );
  leaf(adapters, "judge", "let the gate judge an adapter that was not trained here")
    .addArgument(name())
    .option("--no-activate", "do not serve it when it passes")
    .action((given: string, { json, activate }: WithJson & { activate: boolean }) =>
      guarded(json, async () => {
        const { engineUrl } = await import("./engine-access.ts");
        const flags = ["--judge", given, ...(json === true ? ["--json"] : [])];
        const rest = activate ? [] : ["--no-activate"];
        process.exitCode = await runTrainer([...flags, ...rest], engineUrl(settings()));
      }),
    );
  leaf(adapters, "merge", "write the base with an adapter in it as one GGUF")
    .addArgument(name())
    .requiredOption("--out <file>", "the file to write")
    .option(
      "--type <type>",
      "keep, f32, bf16, f16, q8_0, q6_K, q5_K, q5_0, q4_K, q4_0, q3_K, q2_K",
      "keep",
    )
    .option("--ungated", "even if the adapter did not pass the gate")
    .action((given: string, options: WithJson & { out: string; type: string; ungated?: boolean }) =>
      reported(options.json, async (config) =>
        (await files()).mergeAdapter(config, given, options),
      ),
    );
}

function addChat(program: Command): void {
  leaf(program, "chat", "talk with the engine in the terminal; nothing of it is kept")
    .addArgument(new Argument("[question]", "ask just this; otherwise line by line"))
    .addOption(
      new Option("--model <name>", "<id>:base or <id>:<adapter> instead of what is served"),
    )
    .action((question: string | undefined, { json, model }: WithJson & { model?: string }) =>
      guarded(json, async () => {
        const config = settings();
        const { askOnce, chat, noEngine } = await import("./chat.ts");
        const { engineUrl, runningEngine } = await import("./engine-access.ts");
        const engine = await runningEngine(config);
        if (engine === undefined) throw noEngine(engineUrl(config));
        const options = {
          engine,
          model,
          json: json === true,
          input: process.stdin,
          output: process.stdout,
          interactive: process.stdin.isTTY === true && json !== true,
        };
        if (question === undefined) await chat(options);
        else await askOnce(options, question);
      }),
    );
}

function addModel(program: Command): void {
  const model = program.command("model").description("the model that MODEL names");
  leaf(model, "info", "what the model's file says of itself").action(({ json }: WithJson) =>
    reported(json, async (config) => (await import("./model-info.ts")).modelInfo(config)),
  );
  leaf(model, "get", "download Zephyr-7B in what suits this machine's memory, or any GGUF")
    .addArgument(new Argument("<name>", "zephyr, or hf:<user>/<repo>/<file>.gguf"))
    .addOption(
      new Option("--quantisation <name>", "of Zephyr, such as Q4_K_M, instead of the choice"),
    )
    .action((name: string, { json, quantisation }: WithJson & { quantisation?: string }) =>
      reported(json, async (config) => {
        const { getModel } = await import("./model-get.ts");
        const { progressLine } = await import("./progress-line.ts");
        const leave = new AbortController();
        process.once("SIGINT", () => leave.abort(new Error("Stopped; run it again to go on.")));
        using progress = progressLine(name, json === true ? undefined : process.stderr);
        const { onProgress } = progress;
        const { signal } = leave;
        return await getModel(config, { model: name, quantisation, onProgress, signal });
      }),
    );
}

function addDoctor(program: Command): void {
  leaf(program, "doctor", "look at everything this installation needs").action(
    ({ json }: WithJson) =>
      guarded(json, async () => {
        const { doctor } = await import("./doctor.ts");
        const { result, text, healthy } = await doctor();
        printResult(json === true, result, text);
        process.exitCode = healthy ? EXIT.done : EXIT.failed;
      }),
  );
}

type FeedbackExportFlags = WithJson & {
  readonly out?: string | undefined;
  readonly format: string;
  readonly baseModel?: string | undefined;
};

/** The pairs need the model, to judge and to screen them, so the training's process makes them. */
async function exportPairs(
  json: boolean,
  { out, format, baseModel }: Omit<FeedbackExportFlags, "json">,
): Promise<number> {
  if (out === undefined) {
    throw new CodedError(`--format ${format} writes a folder: name it with --out.`, {
      code: "config_invalid",
    });
  }
  const { engineUrl } = await import("./engine-access.ts");
  const flags = [
    ...(json ? ["--json"] : []),
    ...["--export", resolve(out), "--format", format],
    ...flagOf("--base-model", baseModel),
  ];
  return runTrainer(flags, engineUrl(settings()));
}

function addFeedback(program: Command): void {
  const feedback = program.command("feedback").description("the feedback log");
  leaf(feedback, "import", "take in a log that zephyr feedback export wrote; twice is once")
    .addArgument(new Argument("<file>", "the JSON lines"))
    .action((file: string, { json }: WithJson) =>
      reported(json, async (config) =>
        (await import("./feedback-import.ts")).importFeedback(config, resolve(file)),
      ),
    );
  leaf(feedback, "export", "the log as JSON lines on stdout; deleted content is left out")
    .option("--out <path>", "write to this file instead; a folder, for the other formats")
    .addOption(
      new Option(
        "--format <format>",
        "what a training would learn from, as data sets of TRL or UltraFeedback with a recipe",
      )
        .choices(["log", "trl", "trl-unpaired", "ultrafeedback"])
        .default("log"),
    )
    .option("--base-model <id>", "the base's Hugging Face id, for the recipe")
    .action(({ json, out, format, baseModel }: FeedbackExportFlags) =>
      guarded(json, async () => {
        if (format !== "log") {
          process.exitCode = await exportPairs(json === true, { out, format, baseModel });
          return;
        }
        const { exportFeedback } = await import("./feedback-export.ts");
        const exchanges = await exportFeedback(settings(), out);
        if (out !== undefined) {
          printResult(json === true, { exchanges, file: out }, `${exchanges} exchanges in ${out}.`);
        } else if (exchanges === 0) {
          process.stderr.write("The feedback log holds no exchange yet: nothing was written.\n");
        }
      }),
    );
}

/** Copies of the data folder. */
function addBackup(program: Command): void {
  const withoutKeys = "leave out people's keys: the copy opens only beside keys kept elsewhere";
  leaf(
    program,
    "backup",
    "copy the data folder while everything runs; the copy holds people's keys",
  )
    .addArgument(new Argument("<folder>", "where backups lie, best on another disk"))
    .option("--no-keys", withoutKeys)
    .option(
      "--keep-days <days>",
      "remove backups that are older, so that who is forgotten is so there",
    )
    .action((folder: string, options: WithJson & { keys: boolean; keepDays?: string }) =>
      reported(options.json, async (config) =>
        (await import("./backup.ts")).backup(config, resolve(folder), options),
      ),
    );
  leaf(program, "restore", "put a backup in the place of the data folder, which is kept beside it")
    .addArgument(new Argument("<backup>", "a folder that zephyr backup made"))
    .action((folder: string, { json }: WithJson) =>
      reported(json, async (config) =>
        (await import("./backup.ts")).restore(config, resolve(folder)),
      ),
    );
}

function leaf(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option("--json", "print JSON for scripts")
    .exitOverride();
}

async function reported(
  json: boolean | undefined,
  work: (config: Config) => Promise<CommandResult>,
): Promise<void> {
  await guarded(json, async () => {
    const { result, text } = await work(settings());
    printResult(json === true, result, text);
  });
}

/** The settings of this run; names in `.env` that are none are told. @throws CodedError `config_invalid` */
function settings(overrides: Readonly<Record<string, string>> = {}): Config {
  for (const unknown of unknownNames(Object.keys(readEnvFile()), SETTING_NAMES)) {
    process.stderr.write(`${explainUnknownName(unknown)}\n`);
  }
  return loadConfig(overrides);
}

async function guarded(json: boolean | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    printFailure(json === true, error);
    process.exitCode = exitCodeOf(error);
  }
}

function flagOf(name: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [name, value];
}
