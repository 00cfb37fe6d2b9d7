// Which words an answer rests on, by erasing them one at a time (Li, Monroe, Jurafsky 2016, "Understanding Neural
// Networks through Representation Erasure"), as /explain of `stepdown serve` does it.

import { rounded } from "./outputs.js";
import { size, SPACE } from "./unicode.js";

// Variants of a text, and characters of all of them together, unless the pieces became fewer than the least.
const MOST_PIECES = 128, LEAST_PIECES = 16;
const MOST_CHARACTERS = 1000000;
// Kana and Chinese characters, between which no space is written.
const UNSPACED = "\\u3005-\\u30ff\\u3400-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{323af}";
const WORD = new RegExp(`[${UNSPACED}]|[^${SPACE}${UNSPACED}]+`, "gu");

// The words of a text, or of both of a pair, as { index: of the text, start, end }, which count UTF-16 units. Where
// they are too many, neighbours go together, as few as keep the cost bounded.
export function pieces(texts) {
  const found = texts.map((text) => Array.from(text.matchAll(WORD)));
  const words = found.map((own) => own.map(({ index, 0: word }) => [index, index + word.length]));
  const characters = texts.reduce((total, text) => total + size(text), 0);
  const most = Math.max(LEAST_PIECES, Math.min(MOST_PIECES, Math.floor(MOST_CHARACTERS / (characters + 1))));
  const together = Math.max(1, Math.ceil(words.flat().length / most));
  return words.flatMap((own, index) => {
    const starts = own.filter((_, at) => at % together === 0);
    return starts.map(([start], at) => {
      const last = Math.min((at + 1) * together, own.length) - 1;
      return { index, start, end: own[last][1] };
    });
  });
}

// The texts without a piece.
export function without(texts, { index, start, end }) {
  return texts.map((text, at) => (at === index ? text.slice(0, start) + text.slice(end) : text));
}

// How much the model believes in a label: its log-odds, log p/(1 − p), or the number that is predicted.
export function belief(task, logits, label, temperature) {
  if (task === "regression") return logits[label];
  const scaled = logits.map((logit) => logit / temperature);
  if (task === "multi-label") return scaled[label];  // the log-odds of a sigmoid are what it is taken of
  const others = scaled.filter((_, index) => index !== label);
  const highest = Math.max(...others);
  const sum = others.reduce((total, logit) => total + Math.exp(logit - highest), 0);
  return scaled[label] - highest - Math.log(sum);
}

// How far the belief falls, with as many digits as are told.
export function importance(task, whole, erased) {
  const fall = whole - erased;
  // In millionths or in years: it is not known after how many places the digits of a number mean nothing.
  return task === "regression" ? Number(fall.toPrecision(4)) : rounded(fall, 4) + 0;  // + 0: no −0
}
