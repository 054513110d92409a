import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { GGML_TYPE } from "#engine/native/ggml.ts";
import { Device } from "#trainer/ggml/device.ts";
import { Graph, WorkSpace } from "#trainer/ggml/graph.ts";
import { readFloats, writeTensor } from "#trainer/ggml/storage.ts";
import { cpuLibraries } from "../../model/libraries.ts";

const LONG = 0;
const SHORT = 1;
/** Some seconds of products, if nothing ends them. */
const PRODUCTS = 4_000;
const SIZE = 256;

/** A long chain of products and a short sum, each of which writes an output when it comes to its end. */
function openGraph() {
  const resources = new DisposableStack();
  const device = resources.use(Device.open({ libraries: cpuLibraries(), threads: 1 }));
  const space = resources.use(new WorkSpace(device));
  const graph = resources.use(new Graph(device, 2 * PRODUCTS));
  const a = graph.input(GGML_TYPE.f32, [SIZE, SIZE]);
  const [ofLong, ofShort] = [graph.input(GGML_TYPE.f32, [1]), graph.input(GGML_TYPE.f32, [1])];
  graph.seal();
  const { operators } = graph;
  let product = operators.mulMat(a, a);
  for (let i = 1; i < PRODUCTS; i++) product = operators.mulMat(a, product);
  graph.expand(operators.copyInto(operators.sum(product), ofLong));
  graph.cut();
  graph.expand(operators.copyInto(operators.sum(a), ofShort));
  graph.place(space);
  writeTensor(device, a, new Float32Array(SIZE * SIZE).fill(1 / SIZE));
  for (const output of [ofLong, ofShort]) writeTensor(device, output, Float32Array.of(-1));
  return {
    device,
    graph,
    outputs: () => [ofLong, ofShort].map((output) => readFloats(device, output)[0]),
    [Symbol.dispose]: () => resources.dispose(),
  };
}

test("a signal ends a computation in its middle, and what comes next runs to its end", async () => {
  using opened = openGraph();
  const controller = new AbortController();
  const running = opened.graph.runAside(LONG, controller.signal);
  await setImmediate();
  controller.abort();
  await expect(running).rejects.toBe(controller.signal.reason);
  expect(opened.outputs()).toEqual([-1, -1]);
  await opened.graph.runAside(SHORT, new AbortController().signal);
  expect(opened.outputs()).toEqual([-1, SIZE]);
});

test("a signal that came before computes nothing", async () => {
  using opened = openGraph();
  await expect(opened.graph.runAside(SHORT, AbortSignal.abort("over"))).rejects.toBe("over");
  expect(opened.outputs()).toEqual([-1, -1]);
});

test("while it computes, a device takes nothing else and cannot be disposed", async () => {
  using opened = openGraph();
  const controller = new AbortController();
  const running = opened.graph.runAside(LONG, controller.signal);
  expect(() => opened.graph.run(SHORT)).toThrow("is computing");
  await expect(opened.graph.runAside(SHORT)).rejects.toThrow("is computing");
  expect(() => opened.device[Symbol.dispose]()).toThrow("is computing");
  controller.abort();
  await expect(running).rejects.toBe(controller.signal.reason);
});
