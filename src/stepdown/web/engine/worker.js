// Runs the model beside the page, so that the page never stands still. It is told { id, path, body } and answers
// { id, said, time } or { id, problem }; { cancel: id } ends what is asked no more.

import { Classifier } from "./classifier.js";
import { Service } from "./service.js";
import { turn } from "./turn.js";

const service = Classifier.load().then((classifier) => new Service(classifier));
const underWay = new Map();
let last = Promise.resolve();

self.onmessage = ({ data }) => {
  if ("cancel" in data) {
    underWay.get(data.cancel)?.abort();
    return;
  }
  const control = new AbortController();
  underWay.set(data.id, control);
  // One after the other: there is one network.
  last = last.then(() => answer(data, control.signal)).finally(() => underWay.delete(data.id));
};

async function answer({ id, path, body }, signal) {
  try {
    const ready = await service;
    await turn();
    signal.throwIfAborted();
    const begun = performance.now();
    const said = await ready.answer(path, body, signal);
    self.postMessage({ id, said, time: performance.now() - begun });
  } catch (error) {
    self.postMessage({ id, problem: error.message });
  }
}
