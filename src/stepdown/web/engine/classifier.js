// Runs a bundle: texts in, labels with their probabilities or numbers out. The entry for other pages:
//
//   import { Classifier } from "./engine/classifier.js";
//   const classifier = await Classifier.load();
//   const [answer] = await classifier.answers(["It's GREAT!!"]);

import { card, decoded, parsed, read } from "./bundle.js";
import { Network } from "./network.js";
import { probabilities, ranked, reaches, rounded, shortest } from "./outputs.js";
import { sentences } from "./sentences.js";
import { BertWordPiece } from "./wordpiece.js";
import { Words } from "./words.js";

const TOKENIZERS = {
  words: (files) => Words.parse(json(files, "words.json")),
  "bert-wordpiece": (files) => BertWordPiece.parse(
    decoded(needed(files, "vocab.txt"), "vocab.txt"),
    files.has("tokenizer_config.json") ? json(files, "tokenizer_config.json") : {},
  ),
};

export class Classifier {
  // Fetches the bundle at an address (a folder, with a slash at its end), and checks it.
  static async load(base = new URL("../bundle/", import.meta.url)) {
    const bundle = await read(base), { about, files } = bundle;
    const parse = Object.hasOwn(TOKENIZERS, about.tokenizer.kind) && TOKENIZERS[about.tokenizer.kind];
    if (!parse) {
      const known = Object.keys(TOKENIZERS).join(", ");
      throw new Error(`The tokenizer is of kind "${about.tokenizer.kind}"; in a browser there are ${known}.`);
    }
    const classifier = new Classifier();
    classifier.about = about;
    classifier.card = card(bundle);
    classifier.tokenizer = parse(files);
    classifier.network = await Network.load(files.get(about.weights), classifier.tokenizer, about.labelNames.length);
    return classifier;
  }

  // What is said of each text, as `stepdown predict` tells it.
  //
  // inputs        texts, or pairs (lists of two) where it reads pairs
  // top           how many labels to score, best first; 0 for all
  // abstainBelow  gives no label where the highest probability is less; null: always
  // signal        ends the work
  async answers(inputs, { top = 5, abstainBelow = null, signal } = {}) {
    const { logits, truncated } = await this.read(inputs, signal);
    return inputs.map((text, index) => ({
      text,
      ...this.said(logits[index], top, abstainBelow),
      ...(truncated[index] ? { truncated: true } : {}),
    }));
  }

  // Logits of texts, a list of numbers each, and which texts were cut.
  async read(inputs, signal) {
    const texts = inputs.map((input) => this.checked(input));
    const encoded = this.encode(texts);
    const truncated = encoded.map((one) => one.truncated);
    const { longTexts } = this.about;
    const isLong = encoded.map((one) => longTexts !== null && (one.ids.length > longTexts.above || one.truncated));
    const alone = longTexts?.read === "sentences";
    const whole = indices(isLong, (long) => !(long && alone));
    const said = await this.network.run(whole.map((index) => encoded[index].ids), signal);
    const logits = Array(texts.length);
    whole.forEach((index, place) => { logits[index] = said[place]; });
    const long = indices(isLong, Boolean);
    const parts = await this.readSentences(long.map((index) => texts[index][0]), signal);
    parts.forEach((part, place) => {
      const index = long[place];
      const mean = (value, at) => Math.fround((value + logits[index][at]) / 2);
      logits[index] = alone ? part.logits : part.logits.map(mean);
      truncated[index] = part.truncated || (!alone && truncated[index]);
    });
    return { logits, truncated };
  }

  // Of each text the mean of what is said of its sentences, and whether one of them was cut.
  async readSentences(texts, signal) {
    const cut = texts.map((text) => {
      const found = sentences(text);
      return found.length ? found : [text];
    });
    // Each is read once, however often it comes: texts that lack a word in turn share all sentences but one.
    const places = new Map([...new Set(cut.flat())].map((sentence, place) => [sentence, place]));
    const encoded = this.encode(Array.from(places.keys(), (sentence) => [sentence]));
    const said = await this.network.run(encoded.map(({ ids }) => ids), signal);
    return cut.map((own) => {
      const rows = own.map((sentence) => places.get(sentence));
      const sums = rows.map((row) => said[row]).reduce((total, row) => total.map((value, at) => value + row[at]));
      return {
        logits: sums.map((value) => Math.fround(value / rows.length)),
        truncated: rows.some((row) => encoded[row].truncated),
      };
    });
  }

  // The one text of an input, or the two of a pair, as a tokenizer takes them.
  checked(input) {
    const { isPair } = this.about, texts = isPair ? input : [input];
    const isText = (text) => typeof text === "string";
    if (!Array.isArray(texts) || texts.length !== (isPair ? 2 : 1) || !texts.every(isText)) {
      throw new Error(`The model reads ${isPair ? "pairs of texts, each a list of two" : "single texts"}.`);
    }
    return texts.map((text) => text.replaceAll("\x1f", " "));
  }

  encode(texts) {
    return texts.map((parts) => this.tokenizer.encode(parts, this.about.maxLength));
  }

  said(logits, top, abstainBelow) {
    const { task, labelNames, temperature, thresholds } = this.about;
    if (task === "regression") return { value: shortest(logits[0]) };
    const shares = probabilities(task, logits, temperature);
    // Of one label the logits decide: at a high temperature probabilities may round to the same.
    const best = ranked(task === "multi-label" ? shares : logits);
    const scored = best.slice(0, top || undefined).map((index) => [labelNames[index], rounded(shares[index], 6)]);
    const scores = Object.fromEntries(scored);
    const abstains = abstainBelow !== null && !shares.some((share) => reaches(share, abstainBelow));
    const mark = abstains ? { abstained: true } : {};
    if (task === "single-label") {
      const [[label, score]] = scored;
      return { label: abstains ? null : label, score, scores, ...mark };
    }
    const own = abstains ? [] : best.filter((index) => reaches(shares[index], thresholds[index]));
    return { labels: own.map((index) => labelNames[index]), scores, ...mark };
  }
}

const indices = (values, wanted) => [...values.keys()].filter((index) => wanted(values[index]));

function needed(files, name) {
  if (!files.has(name)) throw new Error(`The bundle has no ${name}, which its tokenizer needs.`);
  return files.get(name);
}

function json(files, name) {
  return parsed(decoded(needed(files, name), name), name);
}
