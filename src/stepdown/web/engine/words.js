// The tokenizer `words`: whole words first, then pieces of the same list.

import { framed, reader, remembering } from "./reading.js";
import { SPACE } from "./unicode.js";

const PAD = 0, UNKNOWN = 1, BETWEEN = 2;
const MOST_REPEATS = 3;

const CHUNK = new RegExp(`[^${SPACE}]{1,1000}`, "gu");

// Typographic signs and the plain ones that stand for them.
const PLAIN = [
  [/[\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc`]/g, "'"],
  [/[\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb]/g, '"'],
  [/[\u2010\u2011\u2012\u2013\u2212]/g, "-"],
  [/[\u2014\u2015]/g, "--"],
];
const TREEBANK = /-([lr][rsc])b-|''|\\([/*])/gi;
const BRACKETS = { lr: "(", rr: ")", ls: "[", rs: "]", lc: "{", rc: "}" };

const LETTER = /[\p{L}\p{M}\p{N}]/u;
const IDEOGRAPH = /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]/u;
const W = "[a-z0-9\\x02]";
// Of what is found in the shadow of a text, see below.
const WORD = new RegExp(
  [
    `n't(?!${W})`,                           // do n't, where the verb is cut off already
    `can(?=not(?!${W}))`,                    // cannot, which treebanks write as two words
    `'(?:s|m|d|re|ve|ll)(?!${W})`,           // it's, I'm, he'd, you're, we've, she'll
    `${W}+(?!${W}|'t(?!${W}))`,              // letters, digits and the marks on them
    `${W}+(?=n't(?!${W}))`,                  // the verb of don't
    `${W}+`,                                 // what is left: the a of a't
    "\\x01\\x03?",                           // an ideograph
    "([^\\sa-z0-9\\x01-\\x03])\\1*",         // any other sign, with its repeats: ... or !!! or --
  ].join("|"),
  "giu",
);

export class Words {
  kind = "words";
  padId = PAD;

  // entries    words and pieces, all different and none empty, in the order of their ids
  // lowercase  read texts in lower case
  // pairs      an id is kept for what stands between two texts
  constructor(entries, lowercase, pairs = false) {
    const first = pairs ? BETWEEN + 1 : UNKNOWN + 1;
    this.lowercase = lowercase;
    this.vocabSize = entries.length + first;
    this.frame = { empty: [UNKNOWN], between: pairs ? [BETWEEN] : [] };
    this.ids = new Map(entries.map((entry, index) => [entry, index + first]));
    // Longest entry by what it starts with: where none starts, there is nothing to try.
    this.reach = new Map();
    for (const entry of entries) this.reach.set(entry[0], Math.max(this.reach.get(entry[0]) || 0, entry.length));
    this.read = reader(CHUNK, remembering((chunk) => this.split(chunk).flatMap((word) => this.spell(word))));
  }

  // From the content of `words.json`.
  static parse(about) {
    if (about?.kind !== "words" || ![1, 2].includes(about.version)) {
      throw new Error("words.json is no words tokenizer of version 1 or 2.");
    }
    const { entries, lowercase } = about, pairs = about.version === 2 ? about.pairs : false;
    const isEntry = (entry) => typeof entry === "string" && entry !== "" && !/\p{Cs}/u.test(entry);
    if (![lowercase, pairs].every((value) => typeof value === "boolean")
      || !Array.isArray(entries) || !entries.every(isEntry) || new Set(entries).size < entries.length) {
      throw new Error('words.json: expected "lowercase" and "pairs" true or false, and "entries" different texts.');
    }
    return new Words(entries, lowercase, pairs);
  }

  encode(texts, maxLength) {
    return framed(texts, this.read, this.frame, maxLength);
  }

  // The words of a text, normalised, whether or not they are entries.
  words(text) {
    return [...text.matchAll(CHUNK)].flatMap(([chunk]) => this.split(chunk));
  }

  split(chunk) {
    const text = this.normalised(chunk);
    return Array.from(shadow(text).matchAll(WORD), ({ index, 0: found, 1: sign }) => {
      const length = sign === undefined ? found.length : Math.min(found.length, MOST_REPEATS * sign.length);
      return text.slice(index, index + length);
    });
  }

  normalised(chunk) {
    let text = chunk;
    for (const [signs, plain] of PLAIN) text = text.replace(signs, plain);
    text = text.normalize("NFKC").replace(/\p{Cs}/gu, "\ufffd").replace(/[\p{Cc}\p{Cf}\ufe00-\ufe0f]/gu, "");
    text = text.replace(TREEBANK, (_, sign, escaped) => (sign ? BRACKETS[sign.toLowerCase()] : escaped || '"'));
    return this.lowercase ? text.toLowerCase() : text;
  }

  // The longest entry that starts here, again and again; one id for a run that none starts.
  spell(word) {
    const whole = this.ids.get(word);
    if (whole !== undefined) return [whole];
    const found = [];
    let start = 0, known = true;
    while (start < word.length) {
      let end = Math.min(word.length, start + (this.reach.get(word[start]) || 0));
      while (end > start && !this.ids.has(word.slice(start, end))) end--;
      if (end > start) found.push(this.ids.get(word.slice(start, end)));
      else if (known) found.push(UNKNOWN);
      known = end > start;
      start = Math.max(end, start + 1);
    }
    return found;
  }
}

// The text with every non-ASCII letter, mark or digit as U+0002 and every ideograph as U+0001, of the same length in
// UTF-16, so that what is found in it can be cut from the text: U+0003 stands behind an ideograph that takes two units.
// None of the three is in a normalised text.
function shadow(text) {
  return text.replace(/[^\x00-\x7f]/gu, (character) => {
    if (IDEOGRAPH.test(character)) return character.length === 2 ? "\x01\x03" : "\x01";
    return LETTER.test(character) ? "\x02".repeat(character.length) : character;
  });
}
