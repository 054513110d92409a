/** The contract against a real llama-server. Without one it is skipped, and says so. */
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Backend } from "#engine/backends/backend.ts";
import { openRemoteBackend } from "#engine/backends/remote/remote.ts";
import { systemClock } from "#engine/base/clock.ts";
import { backendContract, backendContractUnderLoad } from "./backend-contract.ts";
import { type ContractModel, contractModel } from "./contract-model.ts";
import { MISSING, type RunningServer, startLlamaServer } from "./running-llama-server.ts";

let model: ContractModel;
let server: RunningServer;
let backend: Backend;

if (MISSING === undefined) {
  beforeAll(async () => {
    model = contractModel();
    const adapter = ["--lora", model.adapterPath, "--lora-init-without-apply"];
    server = await startLlamaServer(model.path, adapter);
    backend = await openRemoteBackend({
      url: server.url,
      kind: "llama-server",
      baseSha256: model.sha256,
      contextTokens: 512,
      streams: 2,
      clock: systemClock,
    });
  }, 60_000);

  afterAll(async () => {
    await backend?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    model[Symbol.dispose]();
  });

  const underTest = {
    open: async () => backend,
    adapter: {
      name: "night",
      get path() {
        return model.adapterPath;
      },
    },
  };
  backendContract("llama-server", underTest);
  backendContractUnderLoad("llama-server", underTest);
} else {
  describe.skip(MISSING, () => {
    it("meets the contract", () => {});
  });
}
