// The tokenizer `bert-wordpiece`: BERT's, as published models use it.

import { framed, reader, remembering } from "./reading.js";
import { Said } from "./said.js";
import { size, SPACE, split } from "./unicode.js";

const UNKNOWN = "[UNK]", START = "[CLS]", END = "[SEP]", PAD = "[PAD]", MASK = "[MASK]";
const SPECIAL = new Set([UNKNOWN, START, END, PAD, MASK]);
const LONGEST_WORD = 100;

const CHUNK = new RegExp(`[^${SPACE}]+`, "gu");
const SPLIT_SPECIAL = /(\[(?:UNK|CLS|SEP|PAD|MASK)\])/;
// White space elsewhere, control characters to BERT: removed with the others.
const NO_SPACE = /[\x0b\x0c\x1c-\x1f\x85]/g;
const DROPPED = /[\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
const IDEOGRAPH = new RegExp(
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}"
    + "\\u{2b920}-\\u{2ceaf}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]",
  "gu",
);
// ASCII signs such as $ and ^ count as punctuation, though Unicode files them elsewhere.
const PUNCTUATION = /[!-/:-@[-`{-~]|\p{P}/gu;

export class BertWordPiece {
  kind = "bert-wordpiece";

  // vocabulary  pieces in the order of their ids
  // config      `do_lower_case`, `strip_accents` and `tokenize_chinese_chars`, as in tokenizer_config.json
  constructor(vocabulary, config = {}) {
    const { do_lower_case = true, strip_accents = null, tokenize_chinese_chars = true } = config;
    this.lowercase = do_lower_case;
    this.strips = strip_accents ?? do_lower_case;
    this.ideographs = tokenize_chinese_chars;
    this.vocabSize = vocabulary.length;
    this.ids = new Map(vocabulary.map((piece, id) => [piece, id]));  // the last one, where a piece comes twice
    this.longest = vocabulary.reduce((longest, piece) => Math.max(longest, piece.length), 0);
    this.padId = vocabulary.indexOf(PAD);
    this.unknown = this.ids.get(UNKNOWN);
    const [start, end] = [[this.ids.get(START)], [this.ids.get(END)]];
    this.frame = { before: start, between: end, after: end };
    this.read = reader(CHUNK, remembering((chunk) => this.idsOf(chunk)));
  }

  // From the contents of `vocab.txt` and, as JSON, of `tokenizer_config.json`.
  static parse(vocabulary, config) {
    const pieces = vocabulary.replaceAll("\r\n", "\n").split("\n");
    if (pieces.at(-1) === "") pieces.pop();
    const missing = [UNKNOWN, START, END, PAD].filter((piece) => !pieces.includes(piece));
    if (missing.length) throw new Error(`vocab.txt has no ${missing.join(", ")}.`);
    const said = new Said(config, "tokenizer_config.json");
    for (const name of ["do_lower_case", "strip_accents", "tokenize_chinese_chars"]) {
      const value = said.get(name);
      if (value === undefined || typeof value === "boolean" || (value === null && name === "strip_accents")) continue;
      throw said.fault(name, "true or false");
    }
    return new BertWordPiece(pieces, config);
  }

  encode(texts, maxLength) {
    return framed(texts.map((text) => text.replace(NO_SPACE, "\0")), this.read, this.frame, maxLength);
  }

  idsOf(chunk) {
    return chunk.split(SPLIT_SPECIAL).flatMap((part) => {
      const special = SPECIAL.has(part) ? this.ids.get(part) : undefined;
      return special === undefined ? this.words(part).flatMap((word) => this.pieces(word)) : [special];
    });
  }

  words(part) {
    let text = part.replace(DROPPED, "");
    if (this.ideographs) text = text.replace(IDEOGRAPH, " $& ");
    if (this.strips) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
    // One by one: a sigma at the end of a word stays the common one.
    if (this.lowercase) text = Array.from(text, (character) => character.toLowerCase()).join("");
    return split(text.replace(PUNCTUATION, " $& "));
  }

  // The longest piece that starts here, again and again; [UNK] alone where that fails.
  pieces(word) {
    if (size(word) > LONGEST_WORD) return [this.unknown];
    const found = [];
    for (let start = 0, end; start < word.length; start = end) {
      const prefix = start ? "##" : "";
      end = Math.min(word.length, start + this.longest);
      while (end > start && !this.ids.has(prefix + word.slice(start, end))) end--;
      if (end === start) return [this.unknown];
      found.push(this.ids.get(prefix + word.slice(start, end)));
    }
    return found;
  }
}
