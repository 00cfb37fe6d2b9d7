// Cuts running text into sentences.

import { withoutReferences } from "./references.js";
import { SPACE, split, WORD } from "./unicode.js";

// The end of a tag's name, and the rest of the tag; names are in ASCII letters of either case.
const REST_OF_TAG = `(?![${WORD}])[^<>]{0,200}>`;
const eitherCase = (names) => names.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);
const BLOCK_TAG = new RegExp(`</?(?:${eitherCase("br|p|div|hr|li|ul|ol")}|[hH][1-6])${REST_OF_TAG}`, "gu");
const INLINE_TAG = new RegExp(`</?(?:${eitherCase("i|b|u|em|strong|span|a|font|sup|sub")})${REST_OF_TAG}`, "gu");

// The end of a sentence, with quotes and brackets that close there; the first letter of what follows.
const END = new RegExp(
  `(?<![.!?…])[.!?…]+["'”’)\\]]*[${SPACE}]+(?=["'“‘(\\[]*([${WORD}]))|[。！？]+[」』”’]*[${SPACE}]*`,
  "gu",
);
// Characters before a mark that are looked at: a longer word is neither an abbreviation nor an initial.
const LONGEST = 64;
const ABBREVIATIONS = new Set(
  ("mr mrs ms dr prof rev hon gen col lt sgt capt maj gov sen rep pres st mt jr sr vs no nos vol fig figs dept inc "
    + "ltd co corp bros approx est e.g i.e cf al op a.k.a u.s u.k jan feb mar apr jun jul aug sep sept oct nov dec")
    .split(" "),
);

export function sentences(text) {
  const found = [];
  for (const line of withoutMarkup(text).split("\n")) {
    let start = 0;
    for (const end of line.matchAll(END)) {
      // What it needs to know stands right before: looking at all of a line each time takes quadratic time.
      const before = last(line.slice(Math.max(start, end.index - 2 * LONGEST), end.index));
      if (end[1] !== undefined && !ends(before, end[0], end[1])) continue;
      found.push(line.slice(start, end.index + end[0].length));
      start = end.index + end[0].length;
    }
    found.push(line.slice(start));
  }
  return found.map((sentence) => split(sentence).join(" ")).filter(Boolean);
}

function withoutMarkup(text) {
  const plain = text.includes("&") ? withoutReferences(text) : text;
  return plain.includes("<") ? plain.replace(BLOCK_TAG, "\n").replace(INLINE_TAG, "") : plain;
}

// The last characters that are looked at, in code points as Python counts, each of which is one unit or two.
const last = (text) => Array.from(text).slice(-LONGEST).join("");

// Whether a sentence ends with these marks.
function ends(before, marks, following) {
  if (/\p{Lowercase}/u.test(following)) return before.endsWith(" ") && split(marks).join("") === ".";
  if (!marks.startsWith(".") || marks.startsWith("..") || before.endsWith(" ")) return true;
  const word = (split(before).at(-1) || "").replace(/^["'“‘([]+/, "");
  const isInitial = /^\p{Uppercase}$/u.test(word) && word !== "I";
  return !isInitial && !ABBREVIATIONS.has(word.toLowerCase());
}
