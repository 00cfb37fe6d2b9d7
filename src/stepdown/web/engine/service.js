// Answers what `GET /model`, `POST /predict` and `POST /explain` of `stepdown serve` are asked, with the same objects.

import { belief, importance, pieces, without } from "./erasure.js";
import { size } from "./unicode.js";

// As many texts at once as are answered before anybody looks at a clock; characters as of a server.
const LIMITS = { texts: 100, characters: 100000, body: 2 ** 21 };

export class Service {
  constructor(classifier) {
    this.classifier = classifier;
  }

  // path    "model", "predict" or "explain"
  // signal  ends the work
  answer(path, asked, signal) {
    if (path === "model") return this.model();
    this.check(path === "predict" ? asked.texts : [asked.text]);
    return path === "predict" ? this.predict(asked, signal) : this.explain(asked, signal);
  }

  model() {
    const { about, card } = this.classifier;
    const thresholds = about.labelNames.map((name, index) => [name, about.thresholds[index]]);
    return {
      task: about.task,
      texts_per_input: about.isPair ? 2 : 1,
      labels: about.labelNames,
      thresholds: about.task === "multi-label" ? Object.fromEntries(thresholds) : null,
      parameters: about.parameters,
      max_length: about.maxLength,
      card,
      limits: LIMITS,
    };
  }

  async predict({ texts, top, abstain_below: abstainBelow }, signal) {
    return { predictions: await this.classifier.answers(texts, { top, abstainBelow, signal }) };
  }

  async explain({ text, label, top }, signal) {
    const { task, isPair, labelNames, temperature } = this.classifier.about;
    const [prediction] = await this.classifier.answers([text], { top, signal });
    const texts = [text].flat(), found = pieces(texts);
    const variants = [texts, ...found.map((piece) => without(texts, piece))];
    const { logits } = await this.classifier.read(isPair ? variants : variants.flat(), signal);
    const index = label === undefined ? logits[0].indexOf(Math.max(...logits[0])) : labelNames.indexOf(label);
    const [whole, ...erased] = logits.map((own) => belief(task, own, index, temperature));
    return {
      prediction,
      label: labelNames[index],
      pieces: found.map((piece, at) => this.piece(texts, piece, importance(task, whole, erased[at]))),
    };
  }

  // A piece as it is told: start and end count code points, and of a pair it is said which text it is in.
  piece(texts, { index, start, end }, value) {
    const text = texts[index], first = size(text.slice(0, start));
    const own = text.slice(start, end);
    const told = { text: own, start: first, end: first + size(own), importance: value };
    return this.classifier.about.isPair ? { text_index: index, ...told } : told;
  }

  check(inputs) {
    const lengths = inputs.flat().map(size), longest = Math.max(...lengths);
    if (longest > LIMITS.characters) {
      const [most, found] = [LIMITS.characters, longest].map((value) => value.toLocaleString("en"));
      throw new Error(`A text may have ${most} characters; one has ${found}. Cut it, or split it.`);
    }
  }
}
