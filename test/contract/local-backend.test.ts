import { afterAll, beforeAll } from "vitest";
import { type LocalBackend, openLocalBackend } from "#engine/backends/local.ts";
import { backendContract, backendContractUnderLoad } from "./backend-contract.ts";
import { type ContractModel, contractModel } from "./contract-model.ts";

let model: ContractModel;
let backend: LocalBackend;

beforeAll(async () => {
  model = contractModel();
  backend = await openLocalBackend({
    modelPath: model.path,
    modelId: "random",
    gpu: "cpu",
    gpuLayers: 0,
    threads: 1,
    contextTokens: 512,
    streams: 2,
  });
});

afterAll(async () => {
  await backend[Symbol.asyncDispose]();
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
backendContract("the local backend", underTest);
backendContractUnderLoad("the local backend", underTest);
