// Reads a bundle that lies as a folder on a server, and checks what docs/bundle.md says of it.
//
// Left out: the look into the graph, and keys that come twice. `stepdown export --format web` has looked for both
// before it wrote the bundle here, and in a tab a graph reaches nothing but the tab's own memory.

import { Said } from "./said.js";

const ABOUT = "bundle.json";
const CARD = "README.md";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const MOST_FILES = 32;
const LARGEST = 2 ** 31 - 1;
const LONGEST_TEXT = 1 << 20;
const FEWEST_LABELS = { "single-label": 2, "multi-label": 1, regression: 1 };

// What a bundle says of itself, and the verified content of those of its files that are needed, by name.
export async function read(base) {
  const content = await fetched(base, ABOUT);
  const text = decoded(content, ABOUT);
  const said = new Said(parsed(text, ABOUT), ABOUT);
  if (said.get("format") !== "stepdown-bundle" || said.get("version") !== 1) {
    throw new Error(`${ABOUT} is of version ${said.get("version")} of the format; this page reads version 1.`);
  }
  await checkDigest(text);
  const about = facts(said);
  const files = new Map();
  for (const [name, promise] of about.files) {
    if (about.tokenizer.files.includes(name) || name === about.weights || name === CARD) {
      files.set(name, await verified(await fetched(base, name), name, promise));
    }
  }
  return { about, files };
}

// The text of its README.md, without the metadata that opens it for a hub; empty where it has none.
export function card({ files }) {
  const text = new TextDecoder().decode(files.get(CARD) ?? new Uint8Array());
  return text.replace(/^---[ \t]*\r?\n(?:.*\n)*?---[ \t]*(?:\r?\n)+/, "");
}

export function decoded(content, name) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw new Error(`${name} is not UTF-8.`);
  }
}

export function parsed(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${name} is not JSON: ${error.message}.`);
  }
}

async function fetched(base, name) {
  let response;
  try {
    response = await fetch(new URL(name, base));
  } catch {
    throw new Error(`${name} of the bundle cannot be fetched: the server does not answer.`);
  }
  if (!response.ok) throw new Error(`${name} of the bundle cannot be fetched: the server answered ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

async function verified(content, name, { bytes, sha256 }) {
  if (content.length !== bytes) {
    throw new Error(`${name} has ${content.length} bytes, but ${ABOUT} says ${bytes}. Copy the folder again.`);
  }
  const found = await digest(content);
  if (found && found !== sha256) throw new Error(`${name} is damaged: its checksum is another. Copy the folder again.`);
  return content;
}

// The digest is of the file with zeros in its place.
async function checkDigest(text) {
  const lines = [...text.matchAll(/"digest": "([0-9a-f]{64})"/g)];
  const found = await digest(new TextEncoder().encode(text.replace(lines[0]?.[1] ?? "", "0".repeat(64))));
  if (lines.length !== 1 || (found && found !== lines[0][1])) {
    throw new Error(`${ABOUT} was changed after it was written. Copy the folder again.`);
  }
}

// sha256 in hexadecimal digits. Browsers offer it to pages from https and from this machine alone; else null.
async function digest(content) {
  if (!globalThis.crypto?.subtle) return null;
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(found, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function facts(said) {
  const task = said.inner("task"), weights = said.inner("weights"), tokenizer = said.inner("tokenizer");
  const kind = task.oneOf("kind", Object.keys(FEWEST_LABELS));
  const isPair = task.has("texts") && task.whole("texts", 1, 2) === 2;
  const labelNames = task.texts("label_names", FEWEST_LABELS[kind]);
  if (kind === "regression" && labelNames.length > 1) throw task.fault("label_names", "one name");
  const about = {
    task: kind,
    isPair,
    labelNames,
    maxLength: said.whole("max_length", 1, LONGEST_TEXT),
    longTexts: longTexts(said, isPair),
    ...calibration(said, kind, labelNames.length),
    tokenizer: { kind: tokenizer.text("kind"), files: tokenizer.texts("files", 1) },
    weights: weights.text("file"),
    parameters: said.has("parameters") ? said.whole("parameters", 0, 10 ** 15) : null,
    files: promises(said.inner("files")),
  };
  if (weights.get("format") !== "onnx") throw weights.fault("format", '"onnx"');
  const missing = [about.weights, ...about.tokenizer.files].filter((name) => !about.files.has(name));
  if (missing.length) throw new Error(`${ABOUT}: ${missing.join(", ")} is needed but not among its files.`);
  return about;
}

function promises(files) {
  const names = Object.keys(files.value);
  if (names.length > MOST_FILES) throw new Error(`${files.where} lists more than ${MOST_FILES} files.`);
  return new Map(names.map((name) => {
    if (!NAME.test(name)) throw new Error(`${files.where} names a file ${JSON.stringify(name)}, which no bundle may.`);
    const promise = files.inner(name);
    if (!/^[0-9a-f]{64}$/.test(promise.text("sha256"))) throw promise.fault("sha256", "64 hexadecimal digits");
    return [name, { bytes: promise.whole("bytes", 0, LARGEST), sha256: promise.text("sha256") }];
  }));
}

function calibration(said, kind, labels) {
  if (kind === "regression") {
    if (said.has("calibration")) throw said.fault("calibration", "none, for a regression has no probabilities");
    return { temperature: 1, thresholds: [] };
  }
  const told = said.inner("calibration"), temperature = told.number("temperature", 1e-3, 1e3);
  if (kind === "single-label") {
    if (told.has("thresholds")) throw told.fault("thresholds", "none, for the most probable label is the answer");
    return { temperature, thresholds: [] };
  }
  const usual = Array(labels).fill(0.5);
  return { temperature, thresholds: told.has("thresholds") ? told.numbers("thresholds", labels, 0, 1) : usual };
}

function longTexts(said, isPair) {
  if (!said.has("long_texts")) return null;
  if (isPair) throw said.fault("long_texts", "none, for pairs of texts are not read by their sentences");
  const told = said.inner("long_texts");
  return {
    above: told.whole("above", 1, said.whole("max_length", 1, LONGEST_TEXT)),
    read: told.oneOf("read", ["sentences", "whole-and-sentences"]),
  };
}
