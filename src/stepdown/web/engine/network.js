// The network of a bundle in onnxruntime-web: ids in, outputs out, in batches, in this thread.

import * as ort from "../onnxruntime-web/ort.wasm.min.js";
import { turn } from "./turn.js";

// Threads need a page that is isolated from others (COOP and COEP), which a plain file server does not make it.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = {
  mjs: new URL("../onnxruntime-web/ort-wasm-simd-threaded.js", import.meta.url).href,
  wasm: new URL("../onnxruntime-web/ort-wasm-simd-threaded.wasm", import.meta.url).href,
};
ort.env.logLevel = "error";

// Ids of one batch after padding.
const IDS_PER_BATCH = 2048;
// What one more call costs, in ids: padding up to that is cheaper than another batch.
const IDS_PER_CALL = 40;
// After so many milliseconds others get their turn: what is asked no more is to be heard of.
const TURN = 20;

export class Network {
  // content    of the ONNX file
  // tokenizer  whose ids it reads
  // outputs    how many numbers it says of a text
  static async load(content, tokenizer, outputs) {
    let session;
    try {
      session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"], logSeverityLevel: 4 });
    } catch (error) {
      throw new Error(`The network cannot be run by onnxruntime-web ${ort.env.versions.web}: ${error.message}`);
    }
    if ([...session.inputNames].sort().join() !== "ids,lengths" || session.outputNames.join() !== "logits") {
      throw new Error("The network has other inputs and outputs than ids, lengths and logits.");
    }
    const network = new Network();
    Object.assign(network, { session, outputs, padId: tokenizer.padId });
    // Once, with the highest id, so that what does not fit together is told before it is used.
    const last = tokenizer.vocabSize - 1;
    await network.ask([[last, last], [last]]);
    return network;
  }

  // Outputs of texts, a list of numbers each.
  //
  // rows    the ids of each text
  // signal  ends the work between two batches
  async run(rows, signal) {
    const found = Array(rows.length);
    let begun = performance.now();
    for (const batch of batches(rows.map((ids) => ids.length))) {
      if (performance.now() - begun > TURN) {
        await turn();
        begun = performance.now();
      }
      signal?.throwIfAborted();
      const said = await this.ask(batch.map((index) => rows[index]));
      batch.forEach((index, place) => { found[index] = said[place]; });
    }
    return found;
  }

  async ask(rows) {
    const longest = Math.max(...rows.map((ids) => ids.length));
    const ids = new BigInt64Array(rows.length * longest).fill(BigInt(this.padId));
    rows.forEach((row, index) => row.forEach((id, place) => { ids[index * longest + place] = BigInt(id); }));
    const lengths = BigInt64Array.from(rows, (row) => BigInt(row.length));
    let logits;
    try {
      ({ logits } = await this.session.run({
        ids: new ort.Tensor("int64", ids, [rows.length, longest]),
        lengths: new ort.Tensor("int64", lengths, [rows.length]),
      }));
    } catch (error) {
      throw new Error(`The network fails on ${rows.length} texts of ${longest} ids: ${error.message}`);
    }
    const values = Array.from(logits.data);
    if (logits.dims.join() !== `${rows.length},${this.outputs}` || !values.every(Number.isFinite)) {
      throw new Error(`The network answers with numbers of shape ${logits.dims}; expected finite ones of shape `
        + `${rows.length},${this.outputs}.`);
    }
    return rows.map((_, index) => values.slice(index * this.outputs, (index + 1) * this.outputs));
  }
}

// Cuts texts into batches of nearly equal length, so that nearly nothing is computed on padding; shortest first.
//
// lengths  ids of each text
// Returns lists of positions in `lengths`, every one once.
export function batches(lengths) {
  const order = lengths.map((_, index) => index).sort((a, b) => lengths[a] - lengths[b]);
  const found = [];
  let group = [];
  for (const [place, index] of order.entries()) {
    group.push(index);
    const own = lengths[index], next = lengths[order[place + 1]];
    // A longer text has the whole group padded, and a full batch is one.
    const dear = next === undefined || group.length * (next - own) > IDS_PER_CALL;
    if (dear || (group.length + 1) * next > IDS_PER_BATCH) {
      found.push(group);
      group = [];
    }
  }
  return found;
}
